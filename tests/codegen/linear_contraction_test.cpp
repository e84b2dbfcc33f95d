// The CPU templates of fully connected layers against naive loops in double precision.

#include "codegen/device/cpu/linear.h"
#include "codegen/device/cpu/linear_gradients.h"
#include "tests/codegen/contraction_testing.h"

namespace netc {
namespace {

template <Linear l, class Forward> void check_linear_forward(const Forward& forward) {
  const Floats x = random_floats(size_t(l.batch) * l.in_features, 1);
  const Floats w = random_floats(size_t(l.out_features) * l.in_features, 2);
  std::vector<double> want(size_t(l.batch) * l.out_features);
  for (int n = 0; n < l.batch; ++n)
    for (int o = 0; o < l.out_features; ++o)
      for (int i = 0; i < l.in_features; ++i)
        want[size_t(n) * l.out_features + o] +=
            double(x[size_t(n) * l.in_features + i]) * w[size_t(o) * l.in_features + i];
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
  static constexpr Linear l{batch, in, out, blocks};
  SCOPED_TRACE(testing::Message() << batch << ": " << in << " -> " << out << ", exact " << blocks);
  check_linear_forward<l>([](auto... a) { linear_forward<l>(a...); });
  check_linear_forward<l>([](auto... a) { linear_forward_dot<l>(a...); });
  check_linear_gradients<l>();
}

TEST(LinearContraction, MatchesReference) {
  check_linear<1, 37, 10, 0>();
  check_linear<7, 129, 67, 0>();
  check_linear<64, 2311, 131, 0>();
  check_linear<131, 97, 300, 0>();
}

TEST(LinearContraction, ExactMatchesReference) {
  check_linear<1, 37, 10, 8>();
  check_linear<70, 600, 101, 8>();
}

enum class LinearPass { forward, dot, data, weight };

template <Linear l, LinearPass pass> Floats linear(const Floats& a, const Floats& b) {
  const int outputs = pass == LinearPass::data     ? l.batch * l.in_features
                      : pass == LinearPass::weight ? l.in_features * l.out_features
                                                   : l.batch * l.out_features;
  const long bytes = pass == LinearPass::data     ? linear_data_gradient_workspace(l, 2)
                     : pass == LinearPass::weight ? linear_weight_gradient_workspace(l, 2)
                                                  : linear_forward_workspace(l, 2);
  return run_kernel(size_t(outputs), bytes, 2, [&](float* c, float* work, const Thread& t) {
    if constexpr (pass == LinearPass::forward)
      linear_forward<l>(a.data(), b.data(), c, work, NoEpilogue{}, t);
    else if constexpr (pass == LinearPass::dot)
      linear_forward_dot<l>(a.data(), b.data(), c, work, NoEpilogue{}, t);
    else if constexpr (pass == LinearPass::data)
      linear_data_gradient<l>(a.data(), b.data(), c, work, NoEpilogue{}, t);
    else
      linear_weight_gradient<l>(a.data(), b.data(), c, work, t);
  });
}

TEST(ExactContraction, HalfLinearsAddUp) {
  constexpr int n = 16, in = 1240, out = 328;
  constexpr Linear whole{n, in, out, 8}, half_in{n, in / 2, out, 4}, half_out{n, in, out / 2, 4},
      half_batch{n / 2, in, out, 4};
  const Floats x = random_floats(n * in, 1), w = random_floats(in * out, 2);
  const Floats dy = random_floats(n * out, 3);
  Floats y[2], dot[2], dx[2], dw[2];
  for (size_t h : {0, 1}) {
    const Floats x_in = half_of(x, n, in, 1, h), w_in = half_of(w, out, in, 1, h);
    y[h] = linear<half_in, LinearPass::forward>(x_in, w_in);
    dot[h] = linear<half_in, LinearPass::dot>(x_in, w_in);
    dx[h] =
        linear<half_out, LinearPass::data>(half_of(dy, n, out, 1, h), half_of(w, 1, out, in, h));
    dw[h] =
        linear<half_batch, LinearPass::weight>(half_of(x, 1, n, in, h), half_of(dy, 1, n, out, h));
  }
  expect_sum(linear<whole, LinearPass::forward>(x, w), y[0], y[1]);
  expect_sum(linear<whole, LinearPass::dot>(x, w), dot[0], dot[1]);
  expect_sum(linear<whole, LinearPass::data>(dy, w), dx[0], dx[1]);
  expect_sum(linear<whole, LinearPass::weight>(x, dy), dw[0], dw[1]);
}

} // namespace
} // namespace netc
