// The CUDA contraction templates, run on the host, against naive loops in double precision.

#include "tests/codegen/cuda_shim.h"

#include "codegen/device/cuda/conv2d_weight_gradient.h"
#include "codegen/device/cuda/linear.h"
#include "codegen/device/cuda/linear_gradients.h"
#include "tests/codegen/contraction_testing.h"

namespace netc {
namespace {

constexpr Launch usual{1, usual_lanes};
const Launch launches[] = {usual, {3, 32, true}, {2, 320}, {5, usual_lanes, true}};

/// The result of kernel(output), the same for every launch.
template <class Kernel> Floats run_on_host(size_t outputs, const Launch& launch, Kernel kernel) {
  Guarded out(static_cast<long>(outputs) * 4);
  launch_on_host(launch, [&] { kernel(out.data()); });
  return out.copy();
}

template <class Kernel> void expect_result(const std::vector<double>& want, const Kernel& kernel) {
  const Floats first = run_on_host(want.size(), usual, kernel);
  EXPECT_LT(relative_error(first, want), 2e-6);
  for (const Launch& launch : launches)
    EXPECT_EQ(run_on_host(want.size(), launch, kernel), first)
        << launch.blocks << " blocks of " << launch.threads;
}

/// The same of kernel(output, epilogue).
template <class Kernel>
void expect_marked_result(std::vector<double> want, int channels, const Kernel& kernel) {
  for (size_t i = 0; i < want.size(); ++i)
    want[i] *= Marking::factor(static_cast<long>(i) / channels, static_cast<int>(i % channels));
  std::vector<int> calls(want.size(), 0);
  expect_result(want, [&](float* out) { kernel(out, Marking{channels, calls.data()}); });
  EXPECT_EQ(calls, std::vector<int>(want.size(), 1 + static_cast<int>(std::size(launches))));
}

/// A convolution's tensors, and what its three passes must give.
struct ConvCase {
  Floats x, w, dy;
  std::vector<double> y, dx, dw;

  explicit ConvCase(const Conv2d& c)
      : x(random_floats(size_t(c.batch) * c.in_height * c.in_width * c.in_channels, 1)),
        w(random_floats(size_t(c.out_channels) * c.group_in() * c.kernel_height * c.kernel_width,
                        2)),
        dy(random_floats(size_t(c.batch) * c.out_height() * c.out_width() * c.out_channels, 3)),
        y(dy.size()), dx(x.size()), dw(w.size()) {
    for (size_t i = 0; i < dy.size(); ++i)
      add_output(c, i);
  }

private:
  /// Adds the products of output `i` to all three results.
  void add_output(const Conv2d& c, size_t i) {
    const int k = static_cast<int>(i % c.out_channels);
    const size_t pixel = i / c.out_channels;
    const int ow = static_cast<int>(pixel % c.out_width());
    const int oh = static_cast<int>(pixel / c.out_width() % c.out_height());
    const size_t image = pixel / c.out_width() / c.out_height() * c.in_height * c.in_width;
    for (int tap = 0; tap < c.kernel_height * c.kernel_width; ++tap) {
      const int h = oh * c.stride_height + tap / c.kernel_width * c.dilation_height - c.pad_top;
      const int v = ow * c.stride_width + tap % c.kernel_width * c.dilation_width - c.pad_left;
      if (h < 0 || h >= c.in_height || v < 0 || v >= c.in_width)
        continue;
      for (int in = 0; in < c.group_in(); ++in) {
        const size_t ix =
            (image + h * c.in_width + v) * c.in_channels + k / c.group_out() * c.group_in() + in;
        const size_t iw = (size_t(k) * c.group_in() + in) * c.kernel_height * c.kernel_width + tap;
        y[i] += double(x[ix]) * w[iw];
        dx[ix] += double(dy[i]) * w[iw];
        dw[iw] += double(dy[i]) * x[ix];
      }
    }
  }
};

template <Conv2d c> void check_conv() {
  const ConvCase d(c);
  SCOPED_TRACE(testing::Message() << c.batch << "x" << c.in_height << "x" << c.in_width << "x"
                                  << c.in_channels << " -> " << c.out_channels << ", kernel "
                                  << c.kernel_height << "x" << c.kernel_width << ", exact "
                                  << c.exact_blocks);
  {
    SCOPED_TRACE("forward");
    expect_marked_result(d.y, c.out_channels, [&](float* out, const Marking& epilogue) {
      conv2d_forward<c>(d.x.data(), d.w.data(), out, nullptr, epilogue);
    });
  }
  {
    SCOPED_TRACE("data gradient");
    expect_marked_result(d.dx, c.in_channels, [&](float* out, const Marking& epilogue) {
      conv2d_data_gradient<c>(d.dy.data(), d.w.data(), out, nullptr, epilogue);
    });
  }
  SCOPED_TRACE("weight gradient");
  expect_result(
      d.dw, [&](float* out) { conv2d_weight_gradient<c>(d.x.data(), d.dy.data(), out, nullptr); });
}

/// The same shape in both modes.
template <Conv2d c> void check_conv_modes() {
  constexpr Conv2d exact = [] {
    Conv2d e = c;
    e.exact_blocks = 8;
    return e;
  }();
  check_conv<c>();
  check_conv<exact>();
}

Conv2d constexpr square(int batch, int size, int in, int out, int kernel, int stride, int pad,
                        int groups = 1, int dilation = 1) {
  return {batch,  size,   size,     in,       out, kernel, kernel, groups,
          stride, stride, dilation, dilation, pad, pad,    pad,    pad};
}

TEST(CudaTextConv2d, AlexNetInSmall) {
  check_conv<square(2, 19, 3, 20, 11, 4, 0)>();
  check_conv_modes<square(2, 5, 16, 20, 5, 1, 2, 2)>();
  check_conv<square(9, 4, 20, 12, 3, 1, 1)>();
}

TEST(CudaTextConv2d, OddSizes) {
  check_conv_modes<square(3, 7, 7, 11, 3, 1, 1)>();
  check_conv<square(1, 1, 13, 17, 1, 1, 0)>();
  check_conv<square(1, 5, 1, 1, 5, 1, 0)>();
}

TEST(CudaTextConv2d, Groups) {
  check_conv_modes<square(2, 6, 9, 15, 3, 1, 1, 3)>();
  check_conv<square(1, 8, 6, 6, 3, 2, 1, 6)>();
}

TEST(CudaTextConv2d, StridesAndDilations) {
  check_conv<square(2, 9, 5, 9, 3, 2, 1)>();
  check_conv<square(1, 9, 4, 6, 2, 4, 1)>();
  check_conv_modes<square(1, 10, 4, 6, 3, 3, 2, 2, 2)>();
  check_conv<Conv2d{.batch = 2,
                    .in_height = 8,
                    .in_width = 10,
                    .in_channels = 5,
                    .out_channels = 7,
                    .kernel_height = 2,
                    .kernel_width = 3,
                    .stride_height = 1,
                    .stride_width = 3,
                    .dilation_height = 3,
                    .dilation_width = 1}>();
}

TEST(CudaTextConv2d, Paddings) {
  constexpr Conv2d asymmetric{.batch = 2,
                              .in_height = 7,
                              .in_width = 6,
                              .in_channels = 4,
                              .out_channels = 10,
                              .kernel_height = 3,
                              .kernel_width = 4,
                              .stride_height = 2,
                              .pad_top = 0,
                              .pad_left = 3,
                              .pad_bottom = 2,
                              .pad_right = 1};
  check_conv_modes<asymmetric>();
  check_conv<square(1, 2, 3, 5, 2, 1, 4)>();
  constexpr Conv2d cropping{.batch = 1,
                            .in_height = 8,
                            .in_width = 9,
                            .in_channels = 4,
                            .out_channels = 6,
                            .kernel_height = 3,
                            .kernel_width = 3,
                            .pad_top = -1,
                            .pad_left = -2,
                            .pad_bottom = -1,
                            .pad_right = 0};
  check_conv<cropping>();
}

/// A shape as an argument of a lambda.
template <Conv2d c> constexpr std::integral_constant<Conv2d, c> as_argument{};

TEST(CudaTextConv2d, HalvesAddUpToTheBitsOfOneDevice) {
  constexpr Conv2d whole{.batch = 16,
                         .in_height = 3,
                         .in_width = 3,
                         .in_channels = 16,
                         .out_channels = 16,
                         .kernel_height = 2,
                         .kernel_width = 2,
                         .exact_blocks = 8};
  constexpr Conv2d in_half{.batch = 16,
                           .in_height = 3,
                           .in_width = 3,
                           .in_channels = 8,
                           .out_channels = 16,
                           .kernel_height = 2,
                           .kernel_width = 2,
                           .exact_blocks = 4};
  constexpr Conv2d batch_half{.batch = 8,
                              .in_height = 3,
                              .in_width = 3,
                              .in_channels = 16,
                              .out_channels = 16,
                              .kernel_height = 2,
                              .kernel_width = 2,
                              .exact_blocks = 4};
  const ConvCase d(whole);
  auto forward = [&](auto conv, const Floats& x, const Floats& w) {
    return run_on_host(d.y.size(), usual, [&](float* out) {
      conv2d_forward<conv.value>(x.data(), w.data(), out, nullptr, NoEpilogue{});
    });
  };
  auto gradient = [&](auto conv, const Floats& x, const Floats& dy) {
    return run_on_host(d.dw.size(), usual, [&](float* out) {
      conv2d_weight_gradient<conv.value>(x.data(), dy.data(), out, nullptr);
    });
  };
  std::vector<Floats> y, dw;
  for (size_t half : {0, 1}) {
    y.push_back(forward(as_argument<in_half>, half_of(d.x, 16 * 9, 16, 1, half),
                        half_of(d.w, 16, 16, 4, half)));
    dw.push_back(gradient(as_argument<batch_half>, half_of(d.x, 1, 16, 9 * 16, half),
                          half_of(d.dy, 1, 16, 4 * 16, half)));
  }
  expect_sum(forward(as_argument<whole>, d.x, d.w), y[0], y[1]);
  expect_sum(gradient(as_argument<whole>, d.x, d.dy), dw[0], dw[1]);
}

template <int batch, int in, int out, int blocks = 0> void check_linear() {
  constexpr Linear l{batch, in, out, blocks};
  SCOPED_TRACE(testing::Message() << batch << ": " << in << " -> " << out << ", exact " << blocks);
  const Floats x = random_floats(size_t(batch) * in, 1), w = random_floats(size_t(out) * in, 2),
               dy = random_floats(size_t(batch) * out, 3);
  std::vector<double> y(dy.size()), dx(x.size()), dw(w.size());
  for (size_t n = 0; n < batch; ++n)
    for (size_t o = 0; o < out; ++o)
      for (size_t i = 0; i < in; ++i) {
        y[n * out + o] += double(x[n * in + i]) * w[o * in + i];
        dx[n * in + i] += double(dy[n * out + o]) * w[o * in + i];
        dw[o * in + i] += double(dy[n * out + o]) * x[n * in + i];
      }
  expect_marked_result(y, out, [&](float* to, const Marking& epilogue) {
    linear_forward<l>(x.data(), w.data(), to, nullptr, epilogue);
  });
  expect_marked_result(y, out, [&](float* to, const Marking& epilogue) {
    linear_forward_dot<l>(x.data(), w.data(), to, nullptr, epilogue);
  });
  expect_marked_result(dx, in, [&](float* to, const Marking& epilogue) {
    linear_data_gradient<l>(dy.data(), w.data(), to, nullptr, epilogue);
  });
  expect_result(dw,
                [&](float* to) { linear_weight_gradient<l>(x.data(), dy.data(), to, nullptr); });
}

TEST(CudaTextLinear, MatchesReference) {
  check_linear<1, 37, 10>();
  check_linear<3, 1, 1>();
  check_linear<16, 128, 96>();
  check_linear<70, 65, 131>();
}

TEST(CudaTextLinear, ExactMatchesReference) {
  check_linear<1, 37, 10, 8>();
  check_linear<16, 72, 24, 4>();
  check_linear<70, 40, 70, 8>();
}

} // namespace
} // namespace netc
