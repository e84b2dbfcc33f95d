#pragma once
// Convolution forward and data gradient as tiled products: a row is an output pixel, a column an
// output channel, the depth runs over kernel taps and, innermost, input channels.

#include "codegen/device/cuda/tile.h"

namespace netc {

/// A pixel of a batch of images.
struct Pixel {
  int n, h, w;
};
template <int height, int width> Pixel pixel_at(int index) {
  return {index / (height * width), index / width % height, index % width};
}

/// A kernel tap and a channel of a group: what one step of the depth stands for.
struct TapChannel {
  int r, s, channel;
};
template <int kernel_width, int channels, int leaves> TapChannel tap_channel(int leaf, int k) {
  const LeafRange range = leaf_range<channels, leaves>(leaf);
  const int tap = k / range.count;
  return {tap / kernel_width, tap % kernel_width, range.first + k % range.count};
}

/// Constants of a convolution: device code reads no members of a template argument.
template <Conv2d c> struct ConvConstants {
  static constexpr int out_height = c.out_height(), out_width = c.out_width();
  static constexpr int group_in = c.group_in(), group_out = c.group_out();
  static constexpr int in_height = c.in_height, in_width = c.in_width;
  static constexpr int in_channels = c.in_channels, out_channels = c.out_channels;
  static constexpr int taps = c.kernel_height * c.kernel_width;
  static constexpr long in_pixels = long(c.batch) * c.in_height * c.in_width;
  static constexpr long out_pixels = long(c.batch) * out_height * out_width;
  static constexpr int leaves = max_of(1, c.exact_blocks);
  static_assert(long(taps) * max_of(group_in, group_out) < (1L << 31),
                "the depth is counted in int");

  /// Index of a weight, OIHW; `out` counts all groups, `in` those of a group.
  static long weight(int out, int in, int r, int s) {
    return (long(out) * group_in + in) * taps + r * c.kernel_width + s;
  }
  /// Index of channel 0 of an image pixel; negative outside the image.
  static long input(int n, int h, int w) {
    const bool inside = h >= 0 && h < in_height && w >= 0 && w < in_width;
    return inside ? ((long(n) * in_height + h) * in_width + w) * in_channels : -1;
  }
  /// The same of the pixel that output pixel `p` sees through a tap.
  static long input_under(const Pixel& p, int r, int s) {
    return input(p.n, p.h * c.stride_height + r * c.dilation_height - c.pad_top,
                 p.w * c.stride_width + s * c.dilation_width - c.pad_left);
  }
  /// Index of channel 0 of the output pixel that sees image pixel `p` through a tap; negative
  /// where there is none.
  static long output_over(const Pixel& p, int r, int s) {
    const int h = p.h + c.pad_top - r * c.dilation_height;
    const int w = p.w + c.pad_left - s * c.dilation_width;
    const bool exists = h >= 0 && h % c.stride_height == 0 && h / c.stride_height < out_height &&
                        w >= 0 && w % c.stride_width == 0 && w / c.stride_width < out_width;
    if (!exists)
      return -1;
    return ((long(p.n) * out_height + h / c.stride_height) * out_width + w / c.stride_width) *
           out_channels;
  }
};

template <Conv2d c, class Epilogue>
struct ConvForward : TiledProduct<ConvConstants<c>::out_pixels, ConvConstants<c>::group_out,
                                  c.groups, ConvConstants<c>::leaves, true, true> {
  using C = ConvConstants<c>;
  const float* x;
  const float* w;
  float* y;
  const Epilogue& epilogue;

  ConvForward(const float* x, const float* w, float* y, const Epilogue& epilogue)
      : x(x), w(w), y(y), epilogue(epilogue) {}

  static TapChannel at(int leaf, int k) {
    return tap_channel<c.kernel_width, C::group_in, C::leaves>(leaf, k);
  }
  int depth(int leaf) const { return C::taps * leaf_range<C::group_in, C::leaves>(leaf).count; }
  float row_element(int group, int leaf, int k, int pixel) const {
    const TapChannel t = at(leaf, k);
    const long from = C::input_under(pixel_at<C::out_height, C::out_width>(pixel), t.r, t.s);
    return from < 0 ? 0.0f : x[from + group * C::group_in + t.channel];
  }
  float column_element(int group, int leaf, int k, int channel) const {
    const TapChannel t = at(leaf, k);
    return w[C::weight(group * C::group_out + channel, t.channel, t.r, t.s)];
  }
  void finish(int group, int pixel, int channel, int count, const float* sums) const {
    channel += group * C::group_out;
    float* to = y + long(pixel) * C::out_channels + channel;
    for (int i = 0; i < count; ++i)
      to[i] = sums[i];
    epilogue(to, pixel, channel, count);
  }
};

template <Conv2d c, class Epilogue>
struct ConvDataGradient : TiledProduct<ConvConstants<c>::in_pixels, ConvConstants<c>::group_in,
                                       c.groups, ConvConstants<c>::leaves, true, false> {
  using C = ConvConstants<c>;
  const float* dy;
  const float* w;
  float* dx;
  const Epilogue& epilogue;

  ConvDataGradient(const float* dy, const float* w, float* dx, const Epilogue& epilogue)
      : dy(dy), w(w), dx(dx), epilogue(epilogue) {}

  static TapChannel at(int leaf, int k) {
    return tap_channel<c.kernel_width, C::group_out, C::leaves>(leaf, k);
  }
  int depth(int leaf) const { return C::taps * leaf_range<C::group_out, C::leaves>(leaf).count; }
  float row_element(int group, int leaf, int k, int pixel) const {
    const TapChannel t = at(leaf, k);
    const long from = C::output_over(pixel_at<C::in_height, C::in_width>(pixel), t.r, t.s);
    return from < 0 ? 0.0f : dy[from + group * C::group_out + t.channel];
  }
  float column_element(int group, int leaf, int k, int channel) const {
    const TapChannel t = at(leaf, k);
    return w[C::weight(group * C::group_out + t.channel, channel, t.r, t.s)];
  }
  void finish(int group, int pixel, int channel, int count, const float* sums) const {
    channel += group * C::group_in;
    float* to = dx + long(pixel) * C::in_channels + channel;
    for (int i = 0; i < count; ++i)
      to[i] = sums[i];
    epilogue(to, pixel, channel, count);
  }
};

/// y = conv(x, w), then epilogue. No workspace.
template <Conv2d c, class Epilogue = NoEpilogue>
void conv2d_forward(const float* x, const float* w, float* y, float* /*workspace*/,
                    const Epilogue& epilogue) {
  tiled_product(ConvForward<c, Epilogue>(x, w, y, epilogue));
}

/// dx = the gradient of conv(x, w) for dy, then epilogue. No workspace.
template <Conv2d c, class Epilogue = NoEpilogue>
void conv2d_data_gradient(const float* dy, const float* w, float* dx, float* /*workspace*/,
                          const Epilogue& epilogue) {
  tiled_product(ConvDataGradient<c, Epilogue>(dy, w, dx, epilogue));
}

} // namespace netc
