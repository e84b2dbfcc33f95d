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
    const int tap = k / count % G::taps; // behind the depth of a leaf, any
    r = tap / c.kernel_width;
    s = tap % c.kernel_width;
    channel = range.first + k % count + (G::leaves > 1 ? 0 : k / (block * G::taps) * block);
  }
};

/// Depth k0 + own of a slice from k0 on, `depth` deep. Where all of a slice is of one tap, that is
/// the same for all threads: then they compute it together.
template <Conv2d c, int channels, int line, int depth>
TapChannel<c, channels, line> tap_channel(int leaf, int k0, int own) {
  constexpr bool one_tap =
      Geometry<c>::leaves == 1 && channel_block<c>(channels, line) % depth == 0;
  TapChannel<c, channels, line> t(leaf, one_tap ? k0 : k0 + own);
  if constexpr (one_tap)
    t.channel += own;
  return t;
}

/// A run must lie in one leaf; exact plans cut leaves anywhere.
template <Conv2d c, class T> constexpr int run_of(int a, int b) {
  return c.exact_blocks > 0 ? 1 : common_run(a, b, sizeof(T));
}

/// A line, or a row of weights, that exists. What is summed of the ones behind the last is never
/// used: so these copy line 0.
inline int existing(int line, long lines) {
  return line < lines ? line : 0;
}

/// A window of taps over the input, of which the first is at h, w; has(tap): the image has what it
/// covers.
template <Conv2d c> struct WindowPlace {
  int h, w;
  struct Tap {
    int h, w;
    Tap() = default;
    Tap(int r, int s) : h(r * c.dilation_height), w(s * c.dilation_width) {}
  };
  bool has(const Tap& tap) const {
    return static_cast<unsigned>(h + tap.h) < unsigned(c.in_height) &&
           static_cast<unsigned>(w + tap.w) < unsigned(c.in_width);
  }
};

/// The same for windows that stay where they are while taps change. Bit r stands for row r of the
/// taps, bit 16 + s for column s.
template <Conv2d c> struct WindowBits {
  unsigned outside;
  struct Tap {
    unsigned bits;
    Tap() = default;
    Tap(int r, int s) : bits(1u << r | 0x10000u << s) {}
  };
  WindowBits() = default;
  WindowBits(int h, int w)
      : outside(held(~(covered<c.in_height, c.kernel_height, c.dilation_height>(h) |
                       covered<c.in_width, c.kernel_width, c.dilation_width>(w) << 16))) {}
  bool has(const Tap& tap) const { return (outside & tap.bits) == 0; }

private:
  /// Of taps from `first` on, bits of those in an image of `extent`.
  template <int extent, int taps, int apart> static unsigned covered(int first) {
    const int begin = min(max(apart - 1 - first, 0) / apart, taps);
    const int end = min(max(extent + apart - 1 - first, 0) / apart, taps);
    return (1u << max(begin, end)) - (1u << begin);
  }
};
/// Windows that never leave the image.
struct WindowInside {
  WindowInside() = default;
  WindowInside(int, int) {}
  struct Tap {
    Tap() = default;
    Tap(int, int) {}
  };
  static constexpr bool has(const Tap&) { return true; }
};
template <Conv2d c, class Other>
using WindowOr =
    typename Choose<(c.pad_top <= 0 && c.pad_left <= 0 && c.pad_bottom <= 0 && c.pad_right <= 0),
                    WindowInside, Other>::Type;
template <Conv2d c>
using Window = WindowOr<c, typename Choose<(c.kernel_height <= 16 && c.kernel_width <= 16),
                                           WindowBits<c>, WindowPlace<c>>::Type>;

/// An output pixel of a group: where its window's first tap is.
template <Conv2d c> struct OutputPixel {
  typename Geometry<c>::Index base; ///< Of its first channel.
  int h, w;
  OutputPixel(int pixel, int group) {
    using G = Geometry<c>;
    using Index = typename G::Index;
    h = pixel / G::out_width % G::out_height * c.stride_height - c.pad_top;
    w = pixel % G::out_width * c.stride_width - c.pad_left;
    // Where the output is as large as the input and stride 1, both have the same pixel here.
    constexpr bool as_large = G::out_height == G::in_height && G::out_width == G::in_width &&
                              c.stride_height == 1 && c.stride_width == 1;
    const int n = pixel / (G::out_height * G::out_width);
    const Index first = as_large ? Index(pixel) - (c.pad_top * G::in_width + c.pad_left)
                                 : (Index(n) * G::in_height + h) * G::in_width + w;
    base = first * G::in_channels + group * G::group_in;
  }
};

/// Pixels of padded images (PaddedImages), and those of the output that are counted likewise.
template <Conv2d c, class T> struct PaddedPixels {
  using G = Geometry<c>;
  using Index = typename G::Index;
  static constexpr PaddedImages images = padded_images(c);
  Global<const T> data;
  int group;

  /// Index of the first channel of the i-th; negative, and a whole piece so: it is padding.
  Index at(int i) const {
    const int n = i / (images.height * images.width);
    const int h = i / images.width % images.height - c.pad_top;
    const int w = i % images.width - c.pad_left;
    if (n >= c.batch || h < 0 || h >= c.in_height || w < 0 || w >= c.in_width)
      return -Index(piece_bytes);
    return ((Index(n) * c.in_height + h) * c.in_width + w) * c.in_channels + group * G::group_in;
  }
  /// Where an output pixel is counted.
  static int place_of(int pixel) {
    const int n = pixel / (G::out_height * G::out_width);
    const int h = pixel / G::out_width % G::out_height;
    return (n * images.height + h) * images.width + pixel % G::out_width;
  }
  /// Output pixels counted before a place.
  static int pixels_before(int place) {
    const int n = min(place / (images.height * images.width), c.batch);
    const int h = place / images.width % images.height, w = place % images.width;
    const int in_image =
        h < G::out_height ? h * G::out_width + min(w, G::out_width) : G::out_height * G::out_width;
    return n * (G::out_height * G::out_width) + (n < c.batch ? in_image : 0);
  }
};

/// Forward: output pixels by (tap, input channel) of x. `mirrored`: the taps are those of a data
/// gradient, which run the other way.
template <Conv2d c, class T, bool mirrored = false> struct InputUnderOutput {
  using G = Geometry<c>;
  using Element = T;
  static constexpr bool by_depth = true, kept = G::taps > 1;
  static constexpr int run = run_of<c, T>(G::group_in, G::in_channels);
  Global<const T> data;
  int group;

  struct Line {
    typename G::Index base;
    Window<c> window;
  };
  struct Step {
    typename G::Index offset;
    typename Window<c>::Tap tap;
  };
  Line line(int i) const {
    const OutputPixel<c> pixel(existing(i, G::out_pixels), group);
    return {held(pixel.base), {pixel.h, pixel.w}};
  }
  template <int depth> static Step step(int leaf, int k0, int own) {
    const auto t = tap_channel<c, G::group_in, line_elements<T>, depth>(leaf, k0, own);
    const int r = mirrored ? c.kernel_height - 1 - t.r : t.r;
    const int s = mirrored ? c.kernel_width - 1 - t.s : t.s;
    const int h = r * c.dilation_height, w = s * c.dilation_width;
    return {(typename G::Index(h) * G::in_width + w) * G::in_channels + t.channel, {r, s}};
  }
  static bool exists(const Line& l, const Step& s) { return l.window.has(s.tap); }
  Global<const T> from(const Step& s) const { return data + s.offset; }
  static typename G::Index index(const Line& l, const Step&) { return l.base; }
};

/// Data gradient where outputs lie apart: image pixels by (tap, output channel) of dy.
template <Conv2d c, class T> struct StridedOutputOverInput {
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
  Line line(int i) const {
    const int pixel = existing(i, G::in_pixels);
    const int n = pixel / (G::in_height * G::in_width);
    return {typename G::Index(n) * (G::out_height * G::out_width * G::out_channels) +
                group * G::group_out,
            pixel / G::in_width % G::in_height + c.pad_top, pixel % G::in_width + c.pad_left};
  }
  template <int depth> static Step step(int leaf, int k0, int own) {
    const auto t = tap_channel<c, G::group_out, line_elements<T>, depth>(leaf, k0, own);
    return {t.r * c.dilation_height, t.s * c.dilation_width, t.channel};
  }
  static bool exists(const Line& l, const Step& s) {
    const int h = l.h - s.h, w = l.w - s.w;
    return h >= 0 && h % c.stride_height == 0 && h / c.stride_height < G::out_height && w >= 0 &&
           w % c.stride_width == 0 && w / c.stride_width < G::out_width;
  }
  Global<const T> from(const Step& s) const { return data + s.channel; }
  static typename G::Index index(const Line& l, const Step& s) {
    const int pixel = (l.h - s.h) / c.stride_height * G::out_width + (l.w - s.w) / c.stride_width;
    return l.base + pixel * G::out_channels;
  }
};
/// The same of any convolution.
template <Conv2d c, class T>
using OutputOverInput = typename Choose<(c.stride_height == 1 && c.stride_width == 1),
                                        InputUnderOutput<data_gradient_of(c), T, true>,
                                        StridedOutputOverInput<c, T>>::Type;

/// Weights with the depth innermost, packed so or of a kernel of one tap: lines of a group by the
/// depth. `channels` are those summed over.
template <Conv2d c, int lines_, int channels, class T> struct DeepWeights {
  using G = Geometry<c>;
  using Element = T;
  static constexpr int lines = lines_, apart = G::taps * channels;
  static constexpr bool by_depth = true, kept = false;
  static constexpr int run = run_of<c, T>(channels, channels);
  Global<const T> data;
  int group;

  using Line = typename G::WeightIndex; ///< Index of depth 0.
  using Step = int;
  Line line(int i) const { return (Line(group) * lines + existing(i, lines)) * apart; }
  template <int depth> static Step step(int leaf, int k0, int own) {
    if constexpr (G::leaves == 1)
      return k0 + own; // as the weights are packed
    const auto t = tap_channel<c, channels, line_elements<T>, depth>(leaf, k0, own);
    return (t.r * c.kernel_width + t.s) * channels + t.channel;
  }
  static bool exists(Line, Step) { return true; }
  Global<const T> from(Step step) const { return data + step; }
  static Line index(Line line, Step) { return line; }
};

/// Weights of a kernel of one tap for the data gradient: input channels by output channels, as they
/// are stored.
template <Conv2d c> struct StoredWeights {
  using G = Geometry<c>;
  using Element = float;
  static constexpr int lines = G::group_in, apart = 1;
  static constexpr bool by_depth = false, kept = false;
  static constexpr int run = run_of<c, float>(G::group_in, G::group_in);
  Global<const float> data;
  int group;

  using Line = int;
  using Step = typename G::WeightIndex;
  static Line line(int in) { return existing(in, lines); }
  template <int depth> Step step(int leaf, int k0, int own) const {
    const LeafRange range = leaf_range<G::group_out, G::leaves>(leaf);
    return (Step(group) * G::group_out + range.first + k0 + own) * G::group_in;
  }
  static bool exists(Line, Step) { return true; }
  Global<const float> from(Step step) const { return data + step; }
  static Line index(Line line, Step) { return line; }
};

/// Weight gradient: the images whose output pixels a leaf sums, and the step of a pixel.
template <Conv2d c> LeafRange leaf_images(int leaf) {
  return leaf_range<c.batch, Geometry<c>::leaves>(leaf);
}
/// Of all output pixels, the k-th of a leaf.
template <Conv2d c> int leaf_pixel(int leaf, int k) {
  return leaf_images<c>(leaf).first * (c.out_height() * c.out_width()) + k;
}

/// Weight gradient: output channels by output pixels of dy.
template <Conv2d c, class T> struct OutputGradient {
  using G = Geometry<c>;
  using Element = T;
  static constexpr int lines = G::group_out, apart = 1;
  static constexpr bool by_depth = false, kept = false;
  static constexpr int run = run_of<c, T>(G::group_out, G::out_channels);
  Global<const T> data;
  int group;

  using Line = int;
  using Step = typename G::Index;
  Line line(int out) const { return group * G::group_out + existing(out, lines); }
  template <int depth> static Step step(int leaf, int k0, int own) {
    return Step(leaf_pixel<c>(leaf, k0 + own)) * G::out_channels;
  }
  static bool exists(Line, Step) { return true; }
  Global<const T> from(Step step) const { return data + step; }
  static Line index(Line line, Step) { return line; }
};

/// Weight gradient: (tap, input channel) by output pixels of x; behind them, where the gradient of
/// a bias is computed with it, lines of ones.
template <Conv2d c, class T> struct InputAtTap {
  using G = Geometry<c>;
  using Element = T;
  static constexpr bool by_depth = false, kept = false, has_ones = c.bias_gradient;
  static constexpr int ones = G::taps * G::group_in;
  static constexpr int run = run_of<c, T>(G::group_in, G::in_channels);
  using Place = WindowOr<c, WindowPlace<c>>;
  Global<const T> data;
  int group;

  struct Line {
    typename G::Index offset;
    typename Place::Tap tap;
  };
  struct Step {
    typename G::Index base;
    Place window;
  };
  static Line line(int i) {
    const int line = existing(i, G::taps * G::group_in), tap = line / G::group_in;
    const int r = tap / c.kernel_width, s = tap % c.kernel_width;
    const int h = r * c.dilation_height, w = s * c.dilation_width;
    return {(typename G::Index(h) * G::in_width + w) * G::in_channels + line % G::group_in, {r, s}};
  }
  template <int depth> Step step(int leaf, int k0, int own) const {
    const OutputPixel<c> pixel(leaf_pixel<c>(leaf, k0 + own), group);
    return {pixel.base, {pixel.h, pixel.w}};
  }
  static bool exists(const Line& l, const Step& s) { return s.window.has(l.tap); }
  Global<const T> from(const Step& s) const { return data + s.base; }
  static typename G::Index index(const Line& l, const Step&) { return l.offset; }
};

} // namespace netc
