#pragma once
// The passes of contractions on random tensors, and what they must give: naive loops in double
// precision.

#include "tests/codegen/contraction_testing.h"

namespace netc {

/// A pass: its operands in the order of its function, and its result.
struct PassCase {
  std::string family; ///< `conv2d_forward`, `linear_weight_gradient`, ...
  Floats a, b;
  std::vector<double> want;
  long channels; ///< Of a row of the result, as the epilogue sees it.
};

inline Conv2d square(int batch, int size, int in, int out, int kernel, int stride, int pad,
                     int groups = 1, int dilation = 1) {
  return {batch,  size,   size,     in,       out, kernel, kernel, groups,
          stride, stride, dilation, dilation, pad, pad,    pad,    pad};
}

/// The same shape with its sums cut in `blocks`.
template <class Shape> Shape exact(Shape shape, int blocks = 8) {
  shape.exact_blocks = blocks;
  return shape;
}

/// A convolution's tensors and gradients.
struct ConvTensors {
  Floats x, w, dy;
  std::vector<double> y, dx, dw;

  explicit ConvTensors(const Conv2d& c)
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

inline std::vector<PassCase> conv_passes(const Conv2d& c) {
  const ConvTensors t(c);
  return {{"conv2d_forward", t.x, t.w, t.y, c.out_channels},
          {"conv2d_data_gradient", t.dy, t.w, t.dx, c.in_channels},
          {"conv2d_weight_gradient", t.x, t.dy, t.dw,
           long(c.group_in()) * c.kernel_height * c.kernel_width}};
}

inline std::vector<PassCase> linear_passes(const Linear& l) {
  const size_t in = l.in_features, out = l.out_features;
  const Floats x = random_floats(l.batch * in, 1), w = random_floats(out * in, 2),
               dy = random_floats(l.batch * out, 3);
  std::vector<double> y(dy.size()), dx(x.size()), dw(w.size());
  for (size_t n = 0; n < size_t(l.batch); ++n)
    for (size_t o = 0; o < out; ++o)
      for (size_t i = 0; i < in; ++i) {
        y[n * out + o] += double(x[n * in + i]) * w[o * in + i];
        dx[n * in + i] += double(dy[n * out + o]) * w[o * in + i];
        dw[o * in + i] += double(dy[n * out + o]) * x[n * in + i];
      }
  return {{"linear_forward", x, w, y, l.out_features},
          {"linear_data_gradient", dy, w, dx, l.in_features},
          {"linear_weight_gradient", x, dy, dw, l.in_features}};
}

} // namespace netc
