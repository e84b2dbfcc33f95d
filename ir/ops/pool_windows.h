#pragma once
// What both ways of lowering pooling know of windows along an axis.

#include "ir/ops/pool_lowering.h"

namespace netc::ops {

/// Pixels [lo, hi) of an axis that window `o` covers, and where it starts (maybe before 0).
struct Cover {
  Expr start, lo, hi;
};
inline Cover cover(Expr o, int64_t stride, int64_t before, int64_t kernel, int64_t extent) {
  Expr start = o * Expr(stride) - Expr(before);
  return {start, max(start, Expr(0)), min(start + Expr(kernel), Expr(extent))};
}

/// Windows [lo, hi) of an axis that cover pixel `i`.
struct Covered {
  Expr lo, hi;
};
inline Covered covered(Expr i, int64_t stride, int64_t before, int64_t kernel, int64_t windows) {
  // The smallest o with o stride - before + kernel > i; clamped before the division, which
  // truncates, could see a negative number.
  Expr first = max(i + Expr(before - kernel + stride), Expr(0)) / Expr(stride);
  return {first, min((i + Expr(before)) / Expr(stride) + Expr(1), Expr(windows))};
}

/// The first of equals stays, and so does a NaN, which no comparison would find again.
inline Expr stays(const Expr& best, const Expr& value) {
  if (best->kind == kernel::ExprKind::real)
    return value <= best;
  return kernel::binary("||", value <= best, kernel::binary("!=", best, best));
}

/// Pixels counted along an axis by the average: those in the image, or with its padding.
inline Expr counted(const Cover& c, const Node& node, int64_t kernel, int64_t extent,
                    int64_t after) {
  return full_divisor(node) ? min(c.start + Expr(kernel), Expr(extent + after)) - c.start
                            : c.hi - c.lo;
}

inline Expr average_weight(const Node& node, const Window& win, const Shape& x, Expr oh, Expr ow) {
  Cover rows = cover(oh, win.stride_h, win.top, win.kernel_h, x[2]);
  Cover columns = cover(ow, win.stride_w, win.left, win.kernel_w, x[3]);
  return Expr(1.0) / cast(DType::f32, counted(rows, node, win.kernel_h, x[2], win.bottom) *
                                          counted(columns, node, win.kernel_w, x[3], win.right));
}

} // namespace netc::ops
