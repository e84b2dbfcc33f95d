#pragma once
// How pooling is lowered; the records are in pool.cpp.

#include "ir/ops/common.h"

namespace netc::ops {

/// All channels of a pixel: of the pooled image, or of the gradient.
void max_pool_pixel(PixelContext& c);
void max_pool_grad_pixel(PixelContext& c);
void avg_pool_pixel(PixelContext& c);
void avg_pool_grad_pixel(PixelContext& c);

/// The same for a run of channels, and how many pixels or windows it reads, see PixelLowering.
std::vector<Run> max_pool_run(RunContext& c);
std::vector<Run> max_pool_grad_run(RunContext& c);
std::vector<Run> avg_pool_run(RunContext& c);
std::vector<Run> avg_pool_grad_run(RunContext& c);
int64_t pool_taps(const Node& node);
int64_t pool_grad_taps(const Node& node);

/// Pixels that a thread computes together: where windows overlap, two that are neighbours in a row
/// (more take more registers than it has); of a gradient, those that begin with the same windows.
PixelBlock pool_block(const Node& node);
PixelBlock pool_grad_block(const Node& node);

/// The rows of the operand that row `h` of the result reads.
RowRange pool_rows(const Node& node, size_t operand, const Expr& h);
RowRange pool_grad_rows(const Node& node, size_t operand, const Expr& h);

/// Whether an average counts the padding, too.
bool full_divisor(const Node& node);

} // namespace netc::ops
