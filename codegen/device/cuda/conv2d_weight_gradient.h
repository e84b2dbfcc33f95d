#pragma once
// Convolution weight gradient as a tiled product: a row is an output channel, a column a kernel tap
// and, innermost, an input channel; the depth runs over the output pixels of the batch.

#include "codegen/device/cuda/conv2d.h"

namespace netc {

/// The depth is long: also in fast mode it is cut in leaves, as sums of sums are closer than one
/// long sum.
template <Conv2d c> constexpr int weight_gradient_leaves = c.exact_blocks > 0 ? c.exact_blocks : 8;

template <Conv2d c>
struct ConvWeightGradient
    : TiledProduct<ConvConstants<c>::group_out, ConvConstants<c>::taps * ConvConstants<c>::group_in,
                   c.groups, weight_gradient_leaves<c>, false, false> {
  using C = ConvConstants<c>;
  static constexpr int pixels = C::out_height * C::out_width; ///< Of an image.
  static_assert(C::out_pixels < (1L << 31), "the depth is counted in int");
  const float* x;
  const float* dy;
  float* dw;

  ConvWeightGradient(const float* x, const float* dy, float* dw) : x(x), dy(dy), dw(dw) {}

  static LeafRange images(int leaf) { return leaf_range<c.batch, weight_gradient_leaves<c>>(leaf); }
  int depth(int leaf) const { return images(leaf).count * pixels; }
  float row_element(int group, int leaf, int k, int channel) const {
    const long pixel = long(images(leaf).first) * pixels + k;
    return dy[pixel * C::out_channels + group * C::group_out + channel];
  }
  float column_element(int group, int leaf, int k, int column) const {
    const int tap = column / C::group_in, channel = column % C::group_in;
    Pixel p = pixel_at<C::out_height, C::out_width>(k);
    p.n += images(leaf).first;
    const long from = C::input_under(p, tap / c.kernel_width, tap % c.kernel_width);
    return from < 0 ? 0.0f : x[from + group * C::group_in + channel];
  }
  void finish(int group, int channel, int column, int count, const float* sums) const {
    for (int i = 0; i < count; ++i) {
      const int tap = (column + i) / C::group_in;
      dw[C::weight(group * C::group_out + channel, (column + i) % C::group_in, tap / c.kernel_width,
                   tap % c.kernel_width)] = sums[i];
    }
  }
};

/// dw = the gradient of conv(x, w) for dy. No workspace.
template <Conv2d c>
void conv2d_weight_gradient(const float* x, const float* dy, float* dw, float* /*workspace*/) {
  tiled_product(ConvWeightGradient<c>(x, dy, dw));
}

} // namespace netc
