#pragma once
// How space to depth moves elements: pixel (y, x) of channel c goes to pixel (y / b, x / b) of
// channel ((y % b) b + x % b) channels + c.

#include "ir/ops/common.h"

namespace netc::ops {

/// [n, c, h, w] to [n, c b b, h / b, w / b], rounded up.
Shape space_to_depth_shape(const Shape& x, int64_t block);

/// A pixel's place in its block, and a channel.
struct BlockPixel {
  Expr row, column, channel;
};
/// The one that channel `c` of the result holds; `channels` are those before the move.
BlockPixel pixel_in_block(const Expr& c, int64_t channels, int64_t block);

/// The reference; what hangs over is 0.
void move_space_to_depth(const RefTensor& x, RefTensor& y, int64_t block);

} // namespace netc::ops
