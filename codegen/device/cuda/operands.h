#pragma once
// The operands of the products that a convolution is: images and weights as matrices, see slice.h
// and, for what is a row, a column and the depth, product_shape in tiling.h. All are of one group.

#include "codegen/device/cuda/slice.h"

namespace netc {

/// What is constant in a convolution.
template <Conv2d c> struct Geometry {
  static constexpr int out_height = c.out_height(), out_width = c.out_width();
  static constexpr int in_height = c.in_height, in_width = c.in_width;
  static constexpr int group_in = c.group_in(), group_out = c.group_out();
  static constexpr int in_channels = c.in_channels, out_channels = c.out_channels;
  static constexpr int taps = c.kernel_height * c.kernel_width;
  static constexpr long in_pixels = long(c.batch) * c.in_height * c.in_width;
  static constexpr long out_pixels = long(c.batch) * out_height * out_width;
  static constexpr int leaves = max_of(1, c.exact_blocks);
  using Index = typename IndexOf<(max_of(in_pixels * in_channels, out_pixels* out_channels) >
                                  2147483647L)>::Type;
  using WeightIndex = typename IndexOf<(long(out_channels) * group_in * taps > 2147483647L)>::Type;
  /// A coordinate that no offset brings into an image.
  static constexpr int outside = -(1 << 29);
};

/// A leaf of a reduced dimension of `extent`: its first index and how many it has.
struct LeafRange {
  int first, count;
};
template <int extent, int leaves> LeafRange leaf_range(int leaf) {
  if constexpr (leaves == 1)
    return {0, extent};
  const int first = static_cast<int>(share(extent, leaf, leaves));
  return {first, static_cast<int>(share(extent, leaf + 1, leaves)) - first};
}

/// Channels that are summed for one tap before the next: the taps of so many then find what they
/// share in the cache beside shared memory, not one memory further.
/// `line`: a line of the cache, in elements.
template <Conv2d c> constexpr int channel_block(int channels, int line) {
  return c.exact_blocks > 0           ? channels
         : channels % line == 0       ? line
         : channels % (line / 2) == 0 ? line / 2
                                      : channels;
}
/// Elements in a line of the cache.
template <class T> constexpr int line_elements = cache_line / static_cast<int>(sizeof(T));

/// A kernel tap and a channel of a group: what one step of the depth of a gather stands for. The
/// depth runs over blocks of channels, taps and, innermost, the channels of a block; of a leaf,
/// over taps and its channels.
template <Conv2d c, int channels, int line> struct TapChannel {
  int r, s, channel;
  TapChannel(int leaf, int k) {
    using G = Geometry<c>;
    constexpr int block = channel_block<c>(channels, line);
    const LeafRange range = leaf_range<channels, G::leaves>(leaf);
    const int count = G::leaves > 1 ? range.count : block;
    const int tap = G::leaves > 1 ? k / count : k / count % G::taps;
    r = tap / c.kernel_width;
    s = tap % c.kernel_width;
    channel = range.first + k % count + (G::leaves > 1 ? 0 : k / (block * G::taps) * block);
  }
};

/// A run must lie in one leaf; exact plans cut leaves anywhere.
template <Conv2d c, class T> constexpr int run_of(int a, int b) {
  return c.exact_blocks > 0 ? 1 : common_run(a, b, sizeof(T));
}

/// Forward: output pixels by (tap, input channel) of x.
template <Conv2d c, class T> struct InputUnderOutput {
  using G = Geometry<c>;
  using Element = T;
  static constexpr bool by_depth = true, kept = G::taps > 1;
  static constexpr int run = run_of<c, T>(G::group_in, G::in_channels);
  Global<const T> data;
  int group;

  struct Line {
    typename G::Index base;
    int h, w;
  };
  struct Step {
    typename G::Index offset;
    int h, w;
  };
  Line line(int pixel) const {
    const int n = pixel / (G::out_height * G::out_width);
    const int h = pixel / G::out_width % G::out_height * c.stride_height - c.pad_top;
    const int w = pixel % G::out_width * c.stride_width - c.pad_left;
    using Index = typename G::Index;
    return {((Index(n) * G::in_height + h) * G::in_width + w) * G::in_channels +
                group * G::group_in,
            pixel < G::out_pixels ? h : G::outside, w};
  }
  static Step step(int leaf, int k) {
    const TapChannel<c, G::group_in, line_elements<T>> t(leaf, k);
    const int h = t.r * c.dilation_height, w = t.s * c.dilation_width;
    return {(typename G::Index(h) * G::in_width + w) * G::in_channels + t.channel, h, w};
  }
  static bool exists(const Line& l, const Step& s) {
    return static_cast<unsigned>(l.h + s.h) < unsigned(G::in_height) &&
           static_cast<unsigned>(l.w + s.w) < unsigned(G::in_width);
  }
  static typename G::Index index(const Line& l, const Step& s) { return l.base + s.offset; }
};

/// Data gradient: image pixels by (tap, output channel) of dy.
template <Conv2d c, class T> struct OutputOverInput {
  using G = Geometry<c>;
  using Element = T;
  static constexpr bool by_depth = true, kept = G::taps > 1;
  static constexpr int run = run_of<c, T>(G::group_out, G::out_channels);
  Global<const T> data;
  int group;

  struct Line {
    typename G::Index base;
    int h, w;
  };
  struct Step {
    int h, w, channel;
  };
  Line line(int pixel) const {
    const int n = pixel / (G::in_height * G::in_width);
    const int h = pixel / G::in_width % G::in_height + c.pad_top;
    return {typename G::Index(n) * (G::out_height * G::out_width * G::out_channels) +
                group * G::group_out,
            pixel < G::in_pixels ? h : G::outside, pixel % G::in_width + c.pad_left};
  }
  static Step step(int leaf, int k) {
    const TapChannel<c, G::group_out, line_elements<T>> t(leaf, k);
    return {t.r * c.dilation_height, t.s * c.dilation_width, t.channel};
  }
  static bool exists(const Line& l, const Step& s) {
    const int h = l.h - s.h, w = l.w - s.w;
    return h >= 0 && h % c.stride_height == 0 && h / c.stride_height < G::out_height && w >= 0 &&
           w % c.stride_width == 0 && w / c.stride_width < G::out_width;
  }
  static typename G::Index index(const Line& l, const Step& s) {
    const int pixel = (l.h - s.h) / c.stride_height * G::out_width + (l.w - s.w) / c.stride_width;
    return l.base + pixel * G::out_channels + s.channel;
  }
};

/// Weights with the depth innermost, packed so or of a kernel of one tap: lines of a group by the
/// depth. `channels` are those summed over.
template <Conv2d c, int lines, int channels, class T> struct DeepWeights {
  using G = Geometry<c>;
  using Element = T;
  static constexpr bool by_depth = true, kept = false;
  static constexpr int run = run_of<c, T>(channels, channels);
  Global<const T> data;
  int group;

  /// Index of depth 0; negative: there is no such line.
  using Line = typename G::WeightIndex;
  using Step = int;
  Line line(int i) const {
    return i < lines ? (Line(group) * lines + i) * (G::taps * channels) : Line(-1);
  }
  static Step step(int leaf, int k) {
    if constexpr (G::leaves == 1)
      return k; // as the weights are packed
    const TapChannel<c, channels, line_elements<T>> t(leaf, k);
    return (t.r * c.kernel_width + t.s) * channels + t.channel;
  }
  static bool exists(Line line, Step) { return line >= 0; }
  static Line index(Line line, Step step) { return line + step; }
};

/// Weights of a kernel of one tap for the data gradient: input channels by output channels, as they
/// are stored.
template <Conv2d c> struct StoredWeights {
  using G = Geometry<c>;
  using Element = float;
  static constexpr bool by_depth = false, kept = false;
  static constexpr int run = run_of<c, float>(G::group_in, G::group_in);
  Global<const float> data;
  int group;

  using Line = int; ///< Negative: there is no such line.
  using Step = typename G::WeightIndex;
  static Line line(int in) { return in < G::group_in ? in : -1; }
  Step step(int leaf, int k) const {
    const LeafRange range = leaf_range<G::group_out, G::leaves>(leaf);
    return (Step(group) * G::group_out + range.first + k) * G::group_in;
  }
  static bool exists(Line line, Step) { return line >= 0; }
  static Step index(Line line, Step step) { return step + line; }
};

/// Weight gradient: the images whose output pixels a leaf sums, and the step of a pixel.
template <Conv2d c> LeafRange leaf_images(int leaf) {
  return leaf_range<c.batch, Geometry<c>::leaves>(leaf);
}

/// Weight gradient: output channels by output pixels of dy.
template <Conv2d c, class T> struct OutputGradient {
  using G = Geometry<c>;
  using Element = T;
  static constexpr bool by_depth = false, kept = false;
  static constexpr int run = run_of<c, T>(G::group_out, G::out_channels);
  Global<const T> data;
  int group;

  using Line = int; ///< Negative: there is no such line.
  using Step = typename G::Index;
  Line line(int out) const { return out < G::group_out ? group * G::group_out + out : -1; }
  static Step step(int leaf, int k) {
    return (Step(leaf_images<c>(leaf).first) * (G::out_height * G::out_width) + k) *
           G::out_channels;
  }
  static bool exists(Line line, Step) { return line >= 0; }
  static Step index(Line line, Step step) { return step + line; }
};

/// Weight gradient: (tap, input channel) by output pixels of x.
template <Conv2d c, class T> struct InputAtTap {
  using G = Geometry<c>;
  using Element = T;
  static constexpr bool by_depth = false, kept = false;
  static constexpr int run = run_of<c, T>(G::group_in, G::in_channels);
  Global<const T> data;
  int group;

  struct Line {
    typename G::Index offset;
    int h, w;
  };
  using Step = typename InputUnderOutput<c, T>::Line;
  Line line(int column) const {
    const int tap = column / G::group_in;
    const int h = tap / c.kernel_width * c.dilation_height;
    const int w = tap % c.kernel_width * c.dilation_width;
    return {(typename G::Index(h) * G::in_width + w) * G::in_channels + column % G::group_in,
            column < G::taps * G::group_in ? h : G::outside, w};
  }
  Step step(int leaf, int k) const {
    return InputUnderOutput<c, T>{data, group}.line(
        leaf_images<c>(leaf).first * (G::out_height * G::out_width) + k);
  }
  static bool exists(const Line& l, const Step& s) {
    return static_cast<unsigned>(l.h + s.h) < unsigned(G::in_height) &&
           static_cast<unsigned>(l.w + s.w) < unsigned(G::in_width);
  }
  static typename G::Index index(const Line& l, const Step& s) { return s.base + l.offset; }
};

} // namespace netc
