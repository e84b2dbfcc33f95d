#pragma once
// How pooling is lowered; the records are in pool.cpp.

#include "ir/ops/common.h"

namespace netc::ops {

/// All channels of a pixel: of the pooled image, or of the gradient.
void max_pool_pixel(PixelContext& c);
void max_pool_grad_pixel(PixelContext& c);
void avg_pool_pixel(PixelContext& c);
void avg_pool_grad_pixel(PixelContext& c);

/// The rows of the operand that row `h` of the result reads.
RowRange pool_rows(const Node& node, size_t operand, const Expr& h);
RowRange pool_grad_rows(const Node& node, size_t operand, const Expr& h);

/// Whether an average counts the padding, too.
bool full_divisor(const Node& node);

} // namespace netc::ops
