// The CPU convolution templates against naive loops in double precision.

#include "codegen/device/cpu/conv2d_weight_gradient.h"
#include "tests/codegen/contraction_testing.h"

namespace netc {
namespace {

/// Calls term(y index, x index, w index) for every product of a convolution.
template <class Term> void each_product(const Conv2d& c, const Term& term) {
  const int in = c.group_in(), out = c.group_out();
  for (int n = 0; n < c.batch; ++n)
    for (int oh = 0; oh < c.out_height(); ++oh)
      for (int ow = 0; ow < c.out_width(); ++ow)
        for (int r = 0; r < c.kernel_height; ++r)
          for (int s = 0; s < c.kernel_width; ++s) {
            const int h = oh * c.stride_height + r * c.dilation_height - c.pad_top;
            const int w = ow * c.stride_width + s * c.dilation_width - c.pad_left;
            if (h < 0 || h >= c.in_height || w < 0 || w >= c.in_width)
              continue;
            const size_t x = ((size_t(n) * c.in_height + h) * c.in_width + w) * c.in_channels;
            const size_t y =
                ((size_t(n) * c.out_height() + oh) * c.out_width() + ow) * c.out_channels;
            for (int k = 0; k < c.out_channels; ++k)
              for (int i = 0; i < in; ++i)
                term(y + k, x + k / out * in + i,
                     ((size_t(k) * in + i) * c.kernel_height + r) * c.kernel_width + s);
          }
}

struct ConvData {
  size_t xs, ws, ys;
  Floats x, w, dy;
  explicit ConvData(const Conv2d& c)
      : xs(size_t(c.batch) * c.in_height * c.in_width * c.in_channels),
        ws(size_t(c.out_channels) * c.group_in() * c.kernel_height * c.kernel_width),
        ys(size_t(c.batch) * c.out_height() * c.out_width() * c.out_channels),
        x(random_floats(xs, 1)), w(random_floats(ws, 2)), dy(random_floats(ys, 3)) {}
};

template <Conv2d c> void check_conv() {
  const ConvData d(c);
  std::vector<double> y(d.ys), dx(d.xs), dw(d.ws);
  each_product(c, [&](size_t iy, size_t ix, size_t iw) {
    y[iy] += double(d.x[ix]) * d.w[iw];
    dx[ix] += double(d.dy[iy]) * d.w[iw];
    dw[iw] += double(d.x[ix]) * d.dy[iy];
  });
  SCOPED_TRACE(testing::Message() << c.batch << "x" << c.in_height << "x" << c.in_width << "x"
                                  << c.in_channels << " -> " << c.out_channels << ", kernel "
                                  << c.kernel_height << "x" << c.kernel_width << ", exact "
                                  << c.exact_blocks);
  {
    SCOPED_TRACE("forward");
    expect_marked(
        y, c.out_channels, [](int t) { return conv2d_forward_workspace(c, t); }, 2e-6,
        [&](float* out, float* work, const auto& epilogue, const Thread& t) {
          conv2d_forward<c>(d.x.data(), d.w.data(), out, work, epilogue, t);
        });
  }
  {
    SCOPED_TRACE("data gradient");
    expect_marked(
        dx, c.in_channels, [](int t) { return conv2d_data_gradient_workspace(c, t); }, 1e-5,
        [&](float* out, float* work, const auto& epilogue, const Thread& t) {
          conv2d_data_gradient<c>(d.dy.data(), d.w.data(), out, work, epilogue, t);
        });
  }
  SCOPED_TRACE("weight gradient");
  expect_gradient(
      dw, [](int t) { return conv2d_weight_gradient_workspace(c, t); },
      [&](float* out, float* work, const Thread& t) {
        conv2d_weight_gradient<c>(d.x.data(), d.dy.data(), out, work, t);
      });
}

constexpr Conv2d exact(Conv2d c, int blocks) {
  c.exact_blocks = blocks;
  return c;
}

/// The same shape in both modes.
template <Conv2d c> void check_conv_modes() {
  check_conv<c>();
  check_conv<exact(c, 8)>();
}

Conv2d constexpr square(int batch, int size, int in, int out, int kernel, int stride, int pad,
                        int groups = 1, int dilation = 1) {
  return {batch,  size,   size,     in,       out, kernel, kernel, groups,
          stride, stride, dilation, dilation, pad, pad,    pad,    pad};
}

// Every case is compiled thrice, or six times: few, and each for several reasons.

TEST(Conv2dContraction, AlexNetInSmall) {
  check_conv_modes<square(2, 43, 3, 96, 11, 4, 0)>();
  check_conv_modes<square(2, 9, 48, 64, 5, 1, 2, 2)>();
  check_conv<square(3, 13, 64, 128, 3, 1, 1)>();
}

TEST(Conv2dContraction, OddAndPrimeSizes) {
  check_conv_modes<square(5, 7, 7, 11, 3, 1, 1)>();
  check_conv<square(1, 1, 13, 17, 1, 1, 0)>();
  check_conv<square(1, 5, 1, 1, 5, 1, 0)>();
  check_conv<square(2, 23, 33, 67, 4, 1, 1)>();
}

TEST(Conv2dContraction, Groups) {
  check_conv_modes<square(2, 6, 9, 15, 3, 1, 1, 3)>();
  check_conv<square(1, 8, 6, 6, 3, 2, 1, 6)>();
  check_conv<square(3, 7, 14, 22, 1, 1, 0, 2)>();
}

TEST(Conv2dContraction, StridesAndDilations) {
  check_conv<square(2, 14, 4, 18, 3, 3, 1)>();
  check_conv<square(1, 9, 20, 24, 1, 2, 0)>();
  check_conv<square(2, 11, 6, 10, 2, 4, 1)>();
  check_conv<square(1, 13, 6, 8, 3, 2, 2, 2, 2)>();
  constexpr Conv2d mixed{.batch = 2,
                         .in_height = 10,
                         .in_width = 13,
                         .in_channels = 5,
                         .out_channels = 7,
                         .kernel_height = 2,
                         .kernel_width = 3,
                         .stride_width = 3,
                         .dilation_height = 3};
  check_conv<mixed>();
}

TEST(Conv2dContraction, Paddings) {
  constexpr Conv2d asymmetric{.batch = 2,
                              .in_height = 7,
                              .in_width = 9,
                              .in_channels = 4,
                              .out_channels = 20,
                              .kernel_height = 3,
                              .kernel_width = 4,
                              .stride_height = 2,
                              .pad_left = 3,
                              .pad_bottom = 2,
                              .pad_right = 1};
  check_conv_modes<asymmetric>();
  // The kernel covers all of the padded image; more padding than kernel; cropping.
  check_conv<square(2, 3, 6, 10, 7, 1, 2)>();
  check_conv<square(1, 2, 3, 5, 2, 1, 4)>();
  constexpr Conv2d cropping{.batch = 2,
                            .in_height = 8,
                            .in_width = 9,
                            .in_channels = 4,
                            .out_channels = 6,
                            .kernel_height = 3,
                            .kernel_width = 3,
                            .pad_top = -1,
                            .pad_left = -2,
                            .pad_bottom = -1};
  check_conv<cropping>();
}

TEST(Conv2dContraction, SeveralUnitsOfAnImage) {
  check_conv<square(1, 56, 40, 20, 3, 1, 1)>();
}

template <Conv2d c> Floats forward(const Floats& x, const Floats& w) {
  return run_kernel(ConvData(c).ys, conv2d_forward_workspace(c, 2), 2,
                    [&](float* y, float* work, const Thread& t) {
                      conv2d_forward<c>(x.data(), w.data(), y, work, NoEpilogue{}, t);
                    });
}
template <Conv2d c> Floats data_gradient(const Floats& dy, const Floats& w) {
  return run_kernel(ConvData(c).xs, conv2d_data_gradient_workspace(c, 2), 2,
                    [&](float* dx, float* work, const Thread& t) {
                      conv2d_data_gradient<c>(dy.data(), w.data(), dx, work, NoEpilogue{}, t);
                    });
}
template <Conv2d c> Floats weight_gradient_of(const Floats& x, const Floats& dy) {
  return run_kernel(ConvData(c).ws, conv2d_weight_gradient_workspace(c, 2), 2,
                    [&](float* dw, float* work, const Thread& t) {
                      conv2d_weight_gradient<c>(x.data(), dy.data(), dw, work, t);
                    });
}

TEST(ExactContraction, HalfConvolutionsAddUp) {
  constexpr int n = 8, pixels = 81, in = 16, out = 48, taps = 9;
  constexpr Conv2d whole = exact(square(n, 9, in, out, 3, 1, 1), 8);
  constexpr Conv2d half_in = exact(square(n, 9, in / 2, out, 3, 1, 1), 4);
  constexpr Conv2d half_out = exact(square(n, 9, in, out / 2, 3, 1, 1), 4);
  constexpr Conv2d half_batch = exact(square(n / 2, 9, in, out, 3, 1, 1), 4);
  const ConvData d(whole);
  Floats y[2], dx[2], dw[2];
  for (size_t h : {0, 1}) {
    y[h] = forward<half_in>(half_of(d.x, n * pixels, in, 1, h), half_of(d.w, out, in, taps, h));
    dx[h] = data_gradient<half_out>(half_of(d.dy, n * pixels, out, 1, h),
                                    half_of(d.w, 1, out, in * taps, h));
    dw[h] = weight_gradient_of<half_batch>(half_of(d.x, 1, n, pixels * in, h),
                                           half_of(d.dy, 1, n, pixels * out, h));
  }
  expect_sum(forward<whole>(d.x, d.w), y[0], y[1]);
  expect_sum(data_gradient<whole>(d.dy, d.w), dx[0], dx[1]);
  expect_sum(weight_gradient_of<whole>(d.x, d.dy), dw[0], dw[1]);
}

} // namespace
} // namespace netc
