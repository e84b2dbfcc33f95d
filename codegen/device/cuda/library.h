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
