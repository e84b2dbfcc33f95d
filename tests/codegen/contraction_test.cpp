// The CPU contraction templates against naive loops in double precision.

#include "codegen/device/cpu/conv2d_weight_gradient.h"
#include "codegen/device/cpu/linear.h"
#include "codegen/device/cpu/linear_gradients.h"

#include <gtest/gtest.h>

#include <barrier>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace netc {
namespace {

using Floats = std::vector<float>;

Floats random_floats(size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> value(-1, 1);
  Floats f(count);
  for (float& v : f)
    v = value(generator);
  return f;
}

double relative_error(const Floats& got, const std::vector<double>& want) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    difference += (got[i] - want[i]) * (got[i] - want[i]);
    norm += want[i] * want[i];
  }
  return norm == 0 ? std::sqrt(difference) : std::sqrt(difference / norm);
}

/// Runs `body` on a team of threads.
void run_team(int threads, const std::function<void(const Thread&)>& body) {
  std::barrier<> barrier(threads);
  const auto wait = [](const Thread& t) { static_cast<std::barrier<>*>(t.team)->arrive_and_wait(); };
  std::vector<std::jthread> team;
  for (int i = 0; i < threads; ++i)
    team.emplace_back([&, i] { body(Thread{i, threads, &barrier, wait}); });
}

/// Aligned memory between guard bands. Filled with NaN: whoever reads before writing shows.
class Guarded {
public:
  explicit Guarded(long bytes)
      : count_(bytes / 4), memory_(new (std::align_val_t{64}) float[count_ + 2 * guard]) {
    for (long i = 0; i < count_ + 2 * guard; ++i)
      memory_.get()[i] = inside(i) ? NAN : canary(i);
  }
  ~Guarded() {
    for (long i = 0; i < count_ + 2 * guard; ++i)
      if (!inside(i) && memory_.get()[i] != canary(i)) {
        ADD_FAILURE() << "wrote at " << i - guard << " of " << count_ << " floats";
        return;
      }
  }
  float* data() { return memory_.get() + guard; }
  Floats copy() { return Floats(data(), data() + count_); }

private:
  static constexpr long guard = 128;
  static float canary(long i) { return 1000.0f + float(i % 97); }
  bool inside(long i) const { return i >= guard && i < guard + count_; }
  struct Free {
    void operator()(float* p) const { ::operator delete[](p, std::align_val_t{64}); }
  };
  long count_;
  std::unique_ptr<float, Free> memory_;
};

/// Multiplies by the element's channel and pixel and counts the calls, so that a wrong, missing
/// or repeated call shows.
struct Marking {
  int channels;
  int* calls;
  static float factor(long pixel, int channel) { return float(pixel % 5 + 1 + channel % 3); }
  void operator()(float* row, long pixel, int channel, int count) const {
    for (int i = 0; i < count; ++i) {
      row[i] *= factor(pixel, channel + i);
      ++calls[pixel * channels + channel + i];
    }
  }
};

template <class Kernel>
Floats run_kernel(size_t outputs, long workspace, int threads, const Kernel& kernel) {
  Guarded out(long(outputs) * 4), work(workspace);
  run_team(threads, [&](const Thread& t) { kernel(out.data(), work.data(), t); });
  return out.copy();
}

/// Checks a kernel with an epilogue against `want`, for several teams, and that they agree.
template <class Kernel>
void expect_marked(std::vector<double> want, int channels, long (*workspace)(int), double tolerance,
                   const Kernel& kernel) {
  for (size_t i = 0; i < want.size(); ++i)
    want[i] *= Marking::factor(long(i) / channels, int(i % channels));
  Floats first;
  for (int threads : {1, 2, 3}) {
    std::vector<int> calls(want.size(), 0);
    const Marking epilogue{channels, calls.data()};
    const Floats got =
        run_kernel(want.size(), workspace(threads), threads,
                   [&](float* out, float* work, const Thread& t) { kernel(out, work, epilogue, t); });
    EXPECT_LT(relative_error(got, want), tolerance) << threads << " threads";
    EXPECT_EQ(calls, std::vector<int>(want.size(), 1)) << threads << " threads";
    first = threads == 1 ? got : first;
    EXPECT_EQ(std::memcmp(got.data(), first.data(), got.size() * 4), 0) << threads << " threads";
  }
}

template <class Kernel>
void expect_gradient(const std::vector<double>& want, long (*workspace)(int), const Kernel& kernel) {
  Floats first;
  for (int threads : {1, 2, 3}) {
    const Floats got = run_kernel(want.size(), workspace(threads), threads, kernel);
    EXPECT_LT(relative_error(got, want), 1e-5) << threads << " threads";
    first = threads == 1 ? got : first;
    EXPECT_EQ(std::memcmp(got.data(), first.data(), got.size() * 4), 0) << threads << " threads";
  }
}

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
            const size_t y = ((size_t(n) * c.out_height() + oh) * c.out_width() + ow) *
                             c.out_channels;
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
  return {batch,  size,     size,     in,  out, kernel, kernel, groups, stride,
          stride, dilation, dilation, pad, pad, pad,    pad};
}

TEST(Conv2dContraction, AlexNetInSmall) {
  check_conv_modes<square(2, 43, 3, 96, 11, 4, 0)>();
  check_conv_modes<square(2, 9, 48, 64, 5, 1, 2, 2)>();
  check_conv<square(3, 13, 64, 96, 3, 1, 1)>();
  check_conv<square(2, 13, 96, 128, 3, 1, 1, 2)>();
}

TEST(Conv2dContraction, OddAndPrimeSizes) {
  check_conv_modes<square(5, 7, 7, 11, 3, 1, 1)>();
  check_conv<square(1, 1, 13, 17, 1, 1, 0)>();
  check_conv<square(1, 5, 1, 1, 5, 1, 0)>();
  check_conv<square(2, 23, 5, 67, 4, 1, 1)>();
  check_conv<square(4, 11, 33, 35, 1, 1, 0)>();
}

TEST(Conv2dContraction, Groups) {
  check_conv_modes<square(2, 6, 9, 15, 3, 1, 1, 3)>();
  check_conv<square(1, 8, 6, 6, 3, 2, 1, 6)>();
  check_conv<square(3, 7, 14, 22, 1, 1, 0, 2)>();
}

TEST(Conv2dContraction, StridesAndDilations) {
  check_conv_modes<square(2, 12, 5, 19, 3, 2, 1)>();
  check_conv<square(2, 14, 4, 18, 3, 3, 1)>();
  check_conv<square(1, 9, 20, 24, 1, 2, 0)>();
  check_conv<square(2, 11, 6, 10, 2, 4, 1)>();
  check_conv<square(2, 12, 5, 9, 3, 1, 2, 1, 2)>();
  check_conv<square(1, 13, 6, 8, 3, 2, 2, 2, 2)>();
  check_conv<square(1, 15, 3, 8, 3, 3, 2, 1, 2)>();
  check_conv<Conv2d{.batch = 2,
                    .in_height = 10,
                    .in_width = 13,
                    .in_channels = 5,
                    .out_channels = 7,
                    .kernel_height = 2,
                    .kernel_width = 3,
                    .stride_height = 1,
                    .stride_width = 3,
                    .dilation_height = 3,
                    .dilation_width = 1}>();
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
                              .pad_top = 0,
                              .pad_left = 3,
                              .pad_bottom = 2,
                              .pad_right = 1};
  check_conv_modes<asymmetric>();
  // The kernel covers all of the padded image; more padding than kernel.
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
                            .pad_bottom = -1,
                            .pad_right = 0};
  check_conv<cropping>();
}

TEST(Conv2dContraction, SeveralUnitsOfAnImage) {
  check_conv<square(1, 56, 40, 33, 3, 1, 1)>();
  check_conv<square(1, 60, 16, 20, 5, 2, 2)>();
}

template <Linear l, class Forward> void check_linear_forward(const Forward& forward, long bytes) {
  const Floats x = random_floats(size_t(l.batch) * l.in_features, 1);
  const Floats w = random_floats(size_t(l.out_features) * l.in_features, 2);
  std::vector<double> want(size_t(l.batch) * l.out_features);
  for (int n = 0; n < l.batch; ++n)
    for (int o = 0; o < l.out_features; ++o)
      for (int i = 0; i < l.in_features; ++i)
        want[size_t(n) * l.out_features + o] +=
            double(x[size_t(n) * l.in_features + i]) * w[size_t(o) * l.in_features + i];
  (void)bytes;
  expect_marked(
      want, l.out_features, [](int t) { return linear_forward_workspace(l, t); }, 2e-6,
      [&](float* out, float* work, const auto& epilogue, const Thread& t) {
        forward(x.data(), w.data(), out, work, epilogue, t);
      });
}

template <Linear l> void check_linear_gradients() {
  const Floats x = random_floats(size_t(l.batch) * l.in_features, 1);
  const Floats w = random_floats(size_t(l.out_features) * l.in_features, 2);
  const Floats dy = random_floats(size_t(l.batch) * l.out_features, 3);
  std::vector<double> dx(x.size()), dw(w.size());
  for (size_t n = 0; n < size_t(l.batch); ++n)
    for (size_t o = 0; o < size_t(l.out_features); ++o)
      for (size_t i = 0; i < size_t(l.in_features); ++i) {
        const double d = dy[n * l.out_features + o];
        dx[n * l.in_features + i] += d * w[o * l.in_features + i];
        dw[o * l.in_features + i] += d * x[n * l.in_features + i];
      }
  expect_marked(
      dx, l.in_features, [](int t) { return linear_data_gradient_workspace(l, t); }, 1e-5,
      [&](float* out, float* work, const auto& epilogue, const Thread& t) {
        linear_data_gradient<l>(dy.data(), w.data(), out, work, epilogue, t);
      });
  expect_gradient(
      dw, [](int t) { return linear_weight_gradient_workspace(l, t); },
      [&](float* out, float* work, const Thread& t) {
        linear_weight_gradient<l>(x.data(), dy.data(), out, work, t);
      });
}

template <int batch, int in, int out, int blocks> void check_linear() {
  constexpr Linear l{batch, in, out, blocks};
  SCOPED_TRACE(testing::Message() << batch << ": " << in << " -> " << out << ", exact " << blocks);
  check_linear_forward<l>(
      [](auto... a) { linear_forward<l>(a...); }, 0);
  check_linear_forward<l>(
      [](auto... a) { linear_forward_dot<l>(a...); }, 0);
  check_linear_gradients<l>();
}

TEST(LinearContraction, MatchesReference) {
  check_linear<1, 37, 10, 0>();
  check_linear<3, 1, 1, 0>();
  check_linear<7, 129, 67, 0>();
  check_linear<16, 128, 96, 0>();
  check_linear<64, 2311, 131, 0>();
  check_linear<70, 600, 101, 0>();
  check_linear<131, 97, 300, 0>();
}

TEST(LinearContraction, ExactMatchesReference) {
  check_linear<1, 37, 10, 8>();
  check_linear<16, 128, 96, 8>();
  check_linear<70, 600, 101, 8>();
}

} // namespace
} // namespace netc
