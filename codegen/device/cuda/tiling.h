#pragma once
// How a contraction is cut for a GPU: blocks, warps, stages, splits, launches, workspace. Plain C++
// without includes but the shapes: the planner (host) and the generated kernels compile this text.

#include "codegen/device/cpu/contraction_shape.h"

namespace netc {

/// How products are formed; see Precision in ir/target.h.
enum class Math { fma, tf32, x3tf32, bf16 };

/// Threads of a block of a contraction: four warps, so that each has a large part of the tile.
/// Twice as many would read the operands from shared memory half as often again, and that is what
/// limits tensor cores first.
constexpr int tile_threads = 128;
/// Depth of a slice, what is brought to shared memory at a time, in all tilings but some of
/// warpgroups.
constexpr int usual_slice = 16;

/// A block computes a tile of rows x columns of the result. Fast products may be cut along their
/// depth, too: each of `splits` blocks sums its share to the workspace, and a further launch adds
/// the shares in order.
struct Tiling {
  Math math;
  int rows, columns; ///< Of a tile: 64 or 128; columns may be 96, too.
  int stages;        ///< Slices in shared memory: one is multiplied while the others arrive.
  int splits;
  /// By the matrix instructions of a warpgroup (sm_90a), of TF32 or bf16.
  bool warpgroup = false;
  /// Depth of a slice: usual_slice, or of warpgroups twice that, which is a whole line of the cache
  /// for each row.
  int slice = usual_slice;
};

enum class ContractionPass { forward, data_gradient, weight_gradient };

/// A fully connected layer is a convolution of images of one pixel.
constexpr Conv2d as_conv2d(const Linear& l) {
  Conv2d c{l.batch, 1, 1, l.in_features, l.out_features, 1, 1};
  c.exact_blocks = l.exact_blocks;
  return c;
}

/// A contraction as matrix products: for each group, rows x columns sums of `depth` products.
/// Forward, a row is an output pixel, a column an output channel, the depth runs over kernel taps
/// and, innermost, input channels; the data gradient exchanges input and output. Of the weight
/// gradient, a row is an output channel, a column a tap and, innermost, an input channel, and the
/// depth runs over the output pixels of the batch.
struct ProductShape {
  long rows, columns, depth;
  int groups;
  long packed_floats; ///< Weights laid out anew with the depth innermost; 0: read as they are.
};

constexpr ProductShape product_shape(const Conv2d& c, ContractionPass pass) {
  const long taps = long(c.kernel_height) * c.kernel_width;
  const long weights = long(c.out_channels) * c.group_in() * taps;
  const long in_pixels = long(c.batch) * c.in_height * c.in_width;
  const long out_pixels = long(c.batch) * c.out_height() * c.out_width();
  const long packed = taps == 1 ? 0 : weights;
  switch (pass) {
  case ContractionPass::forward:
    return {out_pixels, c.group_out(), taps * c.group_in(), c.groups, packed};
  case ContractionPass::data_gradient:
    return {in_pixels, c.group_in(), taps * c.group_out(), c.groups, packed};
  case ContractionPass::weight_gradient:
    break;
  }
  return {c.group_out(), taps * c.group_in(), out_pixels, c.groups, 0};
}

/// Instructions of a warpgroup along a slice.
constexpr int warpgroup_steps(const Tiling& t) {
  return t.slice / (t.math == Math::bf16 ? 16 : 8);
}

/// Floats between the rows of an operand's slice in shared memory: of `extent` rows it holds the
/// depth of each (by_depth), or the other way round. The pad, a multiple of 4 for copies of 16
/// bytes, makes the threads of a warp meet different banks.
constexpr int slice_stride(int extent, int depth, bool by_depth, int pad) {
  return (by_depth ? depth : extent) + pad;
}
constexpr int slice_floats(int extent, int depth, bool by_depth, int pad) {
  return (by_depth ? extent : depth) * slice_stride(extent, depth, by_depth, pad);
}
/// Threads read, of the rows of a warpgroup's tile, 16 bytes of 8 rows (by_depth: strides of 4
/// modulo 8), or 8 rows at 4 depths (8 modulo 32); for the matrix instructions of a warp, two
/// depths at once (8 modulo 16), or 8 rows at 4 depths 2 apart (4 modulo 16); consecutive rows
/// otherwise.
constexpr int row_pad(const Tiling& t, bool by_depth) {
  return t.math == Math::fma ? 4 : by_depth != t.warpgroup ? 8 : 4;
}
constexpr int column_pad(const Tiling& t, bool by_depth) {
  return t.math != Math::fma && by_depth && !t.warpgroup ? 8 : 4;
}
/// A slice of columns as the instructions of a warpgroup take it.
constexpr int rounded_floats(const Tiling& t) {
  return t.columns * t.slice / (t.math == Math::bf16 ? 2 : 1);
}

/// Whether consecutive depths of an operand, not consecutive rows (columns), are neighbours in
/// memory.
constexpr bool rows_by_depth(ContractionPass pass) {
  return pass != ContractionPass::weight_gradient;
}
constexpr bool columns_by_depth(const Conv2d& c, ContractionPass pass) {
  return pass == ContractionPass::forward ||
         (pass == ContractionPass::data_gradient && product_shape(c, pass).packed_floats > 0);
}

/// After the products the sums of matrix instructions are staged in the place of the slices. All
/// rows of a tile at once, but where two usual slices are all that memory holds, half of them.
constexpr int staged_rows(const Tiling& t) {
  return t.stages * t.slice > 2 * usual_slice ? t.rows : t.rows / 2;
}
/// Floats between staged rows: a warp writes two columns of four rows by four threads each, in
/// different banks (strides of 8 modulo 16).
constexpr int staged_stride(const Tiling& t) {
  return t.columns + 8;
}

constexpr int tile_shared_bytes(const Conv2d& c, ContractionPass pass, const Tiling& t) {
  const bool rows_deep = rows_by_depth(pass), columns_deep = columns_by_depth(c, pass);
  const int slices =
      t.stages * (slice_floats(t.rows, t.slice, rows_deep, row_pad(t, rows_deep)) +
                  slice_floats(t.columns, t.slice, columns_deep, column_pad(t, columns_deep))) +
      (t.warpgroup ? 2 * rounded_floats(t) : 0);
  const int staged = t.math == Math::fma ? 0 : staged_rows(t) * staged_stride(t);
  return 4 * (staged > slices ? staged : slices);
}

constexpr long tiles(const ProductShape& p, const Tiling& t) {
  return p.groups * ceil_div(p.rows, t.rows) * ceil_div(p.columns, t.columns);
}

/// Launches of a contraction: packing the weights, the product, adding the splits.
constexpr bool packs(const Conv2d& c, ContractionPass pass) {
  return product_shape(c, pass).packed_floats > 0;
}
constexpr int launches(const Conv2d& c, ContractionPass pass, const Tiling& t) {
  return packs(c, pass) + 1 + (t.splits > 1);
}

/// Floats in front of the shares of the splits.
constexpr long packed_workspace_floats(const Conv2d& c, ContractionPass pass) {
  return round_up(product_shape(c, pass).packed_floats, 16);
}
constexpr long tiled_workspace_bytes(const Conv2d& c, ContractionPass pass, const Tiling& t) {
  const ProductShape p = product_shape(c, pass);
  const long shares = t.splits > 1 ? t.splits * p.groups * p.rows * p.columns : 0;
  return 4 * (packed_workspace_floats(c, pass) + shares);
}

} // namespace netc
