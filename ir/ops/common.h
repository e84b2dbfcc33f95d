#pragma once
// What several operators share: shape rules, factors, attributes of windows, reference indexing.

#include "ir/lowering.h"
#include "ir/ops.h"
#include "ir/support/philox.h"

#include <fmt/ranges.h>

namespace netc::ops {

using kernel::Body;
using kernel::Expr;
using kernel::MapContext;
using kernel::PixelContext;
using kernel::Run;
using kernel::RunContext;
using kernel::StmtKind;

/// Reads `name` of a node's attributes.
inline int64_t integer(const Node& node, const char* name) {
  return node.attrs.integer(name);
}

/// Infers one result of the type of operand 0.
void infer_same(InferContext& c);
/// Infers the type of operand 0 and requires all operands to have it.
void infer_all_same(InferContext& c);
/// Infers the result from the attributes `dtype` and `shape`.
void infer_from_attrs(InferContext& c);

/// One parallel factor a dimension: every operand of the result's rank walks along.
std::vector<Factor> map_factors(const Node& node);
/// The factors of an operator that works on all channels of a pixel: the channel loop is a window.
std::vector<Factor> pixel_factors(const Node& node);

/// The rows (or columns) that windows [range.begin, range.end) of an axis read of an image of
/// `extent` pixels, and the padding that a device's own image of these pixels has.
struct WindowShare {
  Range pixels;
  int64_t before, after;
};
/// Of windows over the result of a convolution or pooling; `windows` there are in all. `after`: the
/// padding of the whole image. No pixels where the windows lie in padding alone.
WindowShare share_of_windows(Range range, int64_t windows, int64_t extent, int64_t span,
                             int64_t stride, int64_t before, int64_t after);
/// The windows that lie over pixels `range` of an image, for gradients, which gather: `pixels` are
/// windows, the padding is that of the device's own image of `range`.
WindowShare share_of_pixels(Range range, int64_t windows, int64_t span, int64_t stride,
                            int64_t before);
/// Dimension 2 or 3 that a factor walks, by its name; -1 when it is no axis of images.
int axis_of(const Factor& factor);
/// Sets the padding of a share along a dimension (2 or 3).
void set_padding(Attributes& attrs, int dim, int64_t before, int64_t after);

/// `per_element` operations for each element of the first result.
template <int per_element> int64_t flops_per_element(const Node& node) {
  return per_element * node.result()->type.elements();
}

/// Attributes `shape` and `dtype` of operators without operands.
std::vector<AttrDef> type_attrs();

/// A spatial window: convolution and pooling.
struct Window {
  int64_t kernel_h, kernel_w, stride_h, stride_w;
  int64_t dilation_h = 1, dilation_w = 1;
  int64_t top, left, bottom, right;

  /// Windows along an axis of `extent` pixels; rounding up keeps a partial window at the end
  /// unless it would start beyond the image and its leading padding.
  static int64_t count(int64_t extent, int64_t kernel, int64_t stride, int64_t before,
                       int64_t after, bool ceil);
};
/// Reads `kernel` (when present), `stride`, `pad` and `dilation` (when present).
Window window_of(const Attributes& attrs);
/// How a contraction multiplies: `default`, which assign-precision replaces, or a Precision.
AttrDef precision_attr();
/// Blocks of a sum that exact plans cut, see kernel::exact_blocks.
AttrDef blocks_attr();
/// Reports an error unless `blocks` is 1, 2, 4 or 8.
void check_blocks(InferContext& c);
/// AttrDefs shared by the windows; kernel sizes are at most `max_kernel`.
AttrDef kernel_attr();
AttrDef stride_attr();
AttrDef pad_attr();

/// Flat index of (n, c, h, w) in a rank-4 reference tensor.
inline size_t at4(const Shape& s, int64_t n, int64_t c, int64_t h, int64_t w) {
  return static_cast<size_t>(((n * s[1] + c) * s[2] + h) * s[3] + w);
}
/// Calls fn(n, c, h, w) for every element of a rank-4 shape.
template <class Fn> void for_each4(const Shape& s, Fn fn) {
  for (int64_t n = 0; n < s[0]; ++n)
    for (int64_t c = 0; c < s[1]; ++c)
      for (int64_t h = 0; h < s[2]; ++h)
        for (int64_t w = 0; w < s[3]; ++w)
          fn(n, c, h, w);
}

} // namespace netc::ops
