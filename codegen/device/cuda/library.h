#pragma once
// What stands around a library's call: weights laid out as libraries have them, and the maps that
// they leave. Each function is an entry, right for any grid.

#include "codegen/device/cuda/conv2d.h"

namespace netc {

/// Weights, OIHW, as [out][tap][in], which libraries want beside images with channels innermost.
template <Conv2d c> void pack_filters(Global<const float> w, Global<float> packed) {
  using G = Geometry<c>;
  constexpr long all = long(c.out_channels) * G::group_in * G::taps;
  for (long i = block() * lanes() + lane(); i < all; i += blocks() * lanes()) {
    const int in = static_cast<int>(i % G::group_in);
    const int tap = static_cast<int>(i / G::group_in % G::taps);
    packed[i] = w[weight_index<c>(i / (G::group_in * G::taps), in, tap)];
  }
}

/// The other way round.
template <Conv2d c> void unpack_filters(Global<const float> packed, Global<float> w) {
  using G = Geometry<c>;
  constexpr long all = long(c.out_channels) * G::group_in * G::taps;
  for (long i = block() * lanes() + lane(); i < all; i += blocks() * lanes()) {
    const long tap = i % G::taps, in = i / G::taps % G::group_in;
    w[i] = packed[(i / (G::group_in * G::taps) * G::taps + tap) * G::group_in + in];
  }
}

/// The sums of dy, [pixels][channels], by channel: first those of `parts` parts of its pixels, as
/// [part][channel], then all.
template <Conv2d c, long parts, class Y> void sum_parts(Global<const Y> dy, Global<float> partial) {
  constexpr long pixels = Geometry<c>::out_pixels;
  for (long i = block() * lanes() + lane(); i < parts * c.out_channels; i += blocks() * lanes()) {
    const long part = i / c.out_channels, channel = i % c.out_channels;
    float sum = 0;
#pragma unroll 16
    for (long p = share(pixels, part, parts); p < share(pixels, part + 1, parts); ++p)
      sum += dy[p * c.out_channels + channel];
    partial[i] = sum;
  }
}
template <Conv2d c, long parts> void add_parts(Global<const float> partial, Global<float> sums) {
  for (long i = block() * lanes() + lane(); i < c.out_channels; i += blocks() * lanes()) {
    float sum = 0;
#pragma unroll 16
    for (long part = 0; part < parts; ++part)
      sum += partial[part * c.out_channels + i];
    sums[i] = sum;
  }
}

/// Calls the epilogue for the sums that `y`, [pixels][channels], holds as floats, and stores what
/// it makes of them as the elements of `y` are, which are as large.
template <long pixels, int channels, class Y, class Epilogue>
void finish_sums(Global<Y> y, const Epilogue& epilogue) {
  static_assert(sizeof(Y) == sizeof(float));
  constexpr int count = channels % 4 == 0 ? 4 : 1;
  constexpr long all = pixels * channels / count;
  for (long i = block() * lanes() + lane(); i < all; i += blocks() * lanes()) {
    float sums[count] = {};
    add_run(sums, as_elements<const float>(y), i * count);
    epilogue(sums, i / (channels / count), static_cast<int>(i % (channels / count)) * count, count);
    store_run(y, i * count, count, sums);
  }
}

} // namespace netc
