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
/// A line of the cache, in bytes, and what is copied to shared memory at once.
constexpr int cache_line = 128, piece_bytes = 16;

/// A block computes a tile of rows x columns of the result. Fast products may be cut along their
/// depth, too: each of `splits` blocks sums its share to the workspace, and a further launch adds
/// the shares in order.
struct Tiling {
  Math math;
  /// Of a tile: 64 or 128; columns may be 96, too. Where a warpgroup's instructions take columns as
  /// they are copied, rows may be 256: of two warpgroups, which share the columns. Those of three
  /// TF32 products have 64 rows each. Where they take both operands so, and of three products,
  /// columns may be 48.
  int rows, columns;
  int stages; ///< Slices in shared memory: one is multiplied while the others arrive.
  int splits;
  /// By the matrix instructions of a warpgroup (sm_90a).
  bool warpgroup = false;
  /// Depth of a slice: usual_slice, or of warpgroups, mostly, as many elements as make a line of
  /// the cache for each row.
  int slice = usual_slice;
  /// Images and features lie in memory rounded to what `math` multiplies, as Tf32 or Bf16.
  bool rounded = false;
  /// Rows are pixels of padded images, see PaddedImages. A tile's and the halo that its windows
  /// cover besides are copied once for `slice` channels, not once more for every tap.
  bool halo = false;
  /// Taps whose weights are a slice of columns, with a halo; they divide those of the kernel. Who
  /// multiplies several waits less often.
  int taps = 1;
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
/// gradient, a row is a tap and, innermost, an input channel, a column an output channel (the other
/// way round of one tap, where the result lies in memory so), and the depth runs over the output
/// pixels of the batch. The gradient of a bias is one row more, the product with ones.
struct ProductShape {
  long rows, columns, depth;
  int groups;
  long packed_floats; ///< Weights laid out anew with the depth innermost; 0: read as they are.
};

constexpr long taps_of(const Conv2d& c) {
  return long(c.kernel_height) * c.kernel_width;
}
constexpr ProductShape product_shape(const Conv2d& c, ContractionPass pass) {
  const long taps = taps_of(c);
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
  if (taps > 1)
    return {taps * c.group_in() + c.bias_gradient, c.group_out(), out_pixels, c.groups, 0};
  return {c.group_out(), c.group_in(), out_pixels, c.groups, 0};
}

/// The convolution of dy whose result is the data gradient of one without strides.
constexpr Conv2d data_gradient_of(const Conv2d& c) {
  Conv2d d = c;
  d.in_height = c.out_height(), d.in_width = c.out_width();
  d.in_channels = c.out_channels, d.out_channels = c.in_channels;
  d.pad_top = (c.kernel_height - 1) * c.dilation_height - c.pad_top;
  d.pad_left = (c.kernel_width - 1) * c.dilation_width - c.pad_left;
  d.pad_bottom = c.in_height - d.in_height + c.pad_top;
  d.pad_right = c.in_width - d.in_width + c.pad_left;
  return d;
}

/// As whose forward pass a pass that is no weight gradient gathers pixels.
constexpr Conv2d gather_of(const Conv2d& c, ContractionPass pass) {
  return pass == ContractionPass::data_gradient ? data_gradient_of(c) : c;
}

/// Images in rows of pixels that share the padding with their neighbours: a row's right padding is
/// the left one of the next, an image's lower padding the upper one of the next. So far as pixels
/// of the output are counted in the same way, each tap is equally far behind the first for all of
/// them.
struct PaddedImages {
  int height, width; ///< Of an image with its part of the padding.
  int halo;          ///< Pixels from the first tap to the last.
};
constexpr PaddedImages padded_images(const Conv2d& c) {
  const int width = c.in_width + int(max_of(c.pad_left, c.pad_right));
  return {c.in_height + int(max_of(c.pad_top, c.pad_bottom)), width,
          (c.kernel_height - 1) * c.dilation_height * width +
              (c.kernel_width - 1) * c.dilation_width};
}
/// Whether a convolution has such images: no strides, nothing cropped, and as many outputs as an
/// image with its part of the padding has pixels, at most.
constexpr bool has_padded_images(const Conv2d& c) {
  const PaddedImages p = padded_images(c);
  return c.stride_height == 1 && c.stride_width == 1 && min_of(c.pad_top, c.pad_bottom) >= 0 &&
         min_of(c.pad_left, c.pad_right) >= 0 && c.out_height() <= p.height &&
         c.out_width() <= p.width;
}
/// Lines of shared memory for the rows of a tile and its halo.
constexpr int halo_lines(const Conv2d& c, ContractionPass pass, const Tiling& t) {
  return t.rows + padded_images(gather_of(c, pass)).halo;
}
/// Rows that tiles are cut from; with a halo, places up to that of the last output.
constexpr long tiled_rows(const Conv2d& c, ContractionPass pass, const Tiling& t) {
  if (!t.halo)
    return product_shape(c, pass).rows;
  const Conv2d g = gather_of(c, pass);
  const PaddedImages p = padded_images(g);
  return (long(c.batch - 1) * p.height + g.out_height() - 1) * p.width + g.out_width();
}

/// Depth of an instruction of a warpgroup, and how many there are along a slice.
constexpr int warpgroup_depth(Math math) {
  return math == Math::bf16 ? 16 : 8;
}
constexpr int warpgroup_steps(const Tiling& t) {
  return t.slice / warpgroup_depth(t.math);
}

/// Bytes of a rounded element.
constexpr int rounded_bytes(Math math) {
  return math == Math::bf16 ? 2 : 4;
}
/// Whether both operands go to shared memory as a warpgroup's instructions take them: rounded,
/// which weights are when they are packed, and, unless of bf16, with consecutive depths as
/// neighbours.
constexpr bool is_direct(const Conv2d& c, ContractionPass pass, const Tiling& t) {
  if (!t.rounded)
    return false;
  return pass == ContractionPass::weight_gradient ? t.math == Math::bf16
                                                  : product_shape(c, pass).packed_floats > 0;
}
/// Whether the columns do, whatever the rows are: TF32's pixels of the weight gradient are laid out
/// as neighbours by copies of single elements, each of one depth of a line.
constexpr bool has_direct_columns(const Conv2d& c, ContractionPass pass, const Tiling& t) {
  return is_direct(c, pass, t) || (t.rounded && t.math == Math::tf32 && taps_of(c) > 1);
}
/// Whether the rows do: of bf16, always.
constexpr bool has_direct_rows(const Conv2d& c, ContractionPass pass, const Tiling& t) {
  return is_direct(c, pass, t) || (t.rounded && t.math == Math::bf16);
}

/// Whether a warpgroup multiplies the rounded parts of operands and what rounding left: it has sums
/// of its own for each slice then, and fewer rows.
constexpr bool has_parts(const Tiling& t) {
  return t.warpgroup && t.math == Math::x3tf32;
}
/// Threads of a block, and blocks that share a multiprocessor.
constexpr int threads_of(const Tiling& t) {
  return t.rows > (has_parts(t) ? 64 : 128) ? 2 * tile_threads : tile_threads;
}
constexpr int blocks_sharing(int threads) {
  return 2 * tile_threads / threads;
}
constexpr int blocks_sharing(const Tiling& t) {
  return blocks_sharing(threads_of(t));
}
/// Slices whose products may be on their way while those of the next are started. No other block
/// does something meanwhile where one has a multiprocessor for itself. (Counted, too, where rows
/// are in registers: these must be free before the next take their place, so all are waited for.)
constexpr int slices_pending(const Tiling& t) {
  return 2 - blocks_sharing(t);
}

/// Threads that copy neighbouring lines of one depth of a slice of `extent`: 8, or 4 where pieces
/// of 16 bytes do not divide it by 8.
constexpr int sharing_lines(int extent, int run) {
  return extent % (8 * run) == 0 ? 8 : 4;
}
/// Where slices of a warpgroup begin is a multiple of so many bytes: swizzles of the address repeat
/// after them.
constexpr int swizzle_bytes = 1024;
constexpr int swizzled_floats(long floats) {
  return int(round_up(floats * 4, swizzle_bytes) / 4);
}
/// How a slice lies for a warpgroup's instructions (PTX ISA, "Swizzling Modes"): in rows of 128, 64
/// or 32 bytes, of consecutive depths of a line (by_depth) or of consecutive lines of a depth; rows
/// of all lines (depths) follow one another, and what such a row does not hold is in further blocks
/// of rows. Which piece of 16 bytes of a row is where depends on the row: so neighbouring rows meet
/// different banks.
///
/// A copy of 16 bytes asks the cache for no less than 32. What neighbouring threads copy is asked
/// for together as far as it also lands in one row: pieces laid out apart, as the instructions
/// would take them unswizzled, cost twice the bytes and up to eight times the requests (gpu.md).
struct DirectRows {
  int bytes;  ///< Of a row.
  int block;  ///< Floats from a block of rows to the next.
  int floats; ///< Of the slice.
};
constexpr DirectRows direct_rows(int extent, int depth, bool by_depth, int element_bytes) {
  const int along = (by_depth ? depth : extent) * element_bytes;
  const int bytes = along % 128 == 0 ? 128 : along % 64 == 0 ? 64 : 32;
  const int block = int(by_depth ? round_up(extent, 8) : depth) * bytes / 4;
  return {bytes, block, swizzled_floats(long(along / bytes) * block)};
}

/// Floats between the rows of an operand's slice in shared memory: of `extent` rows it holds the
/// depth of each (by_depth), or the other way round. The pad, a multiple of 4 for copies of 16
/// bytes, makes the threads of a warp meet different banks; a warpgroup's swizzle does where there
/// is none.
constexpr int slice_stride(int extent, int depth, bool by_depth, int pad) {
  return (by_depth ? depth : extent) + pad;
}
constexpr int slice_floats(int extent, int depth, bool by_depth, int pad) {
  return (by_depth ? extent : depth) * slice_stride(extent, depth, by_depth, pad);
}
/// Threads read, of the rows of a warpgroup's tile, 16 bytes of 8 rows (by_depth: swizzled), or 8
/// rows at 4 depths (strides of 8 modulo 32); for the matrix instructions of a warp, two depths at
/// once (8 modulo 16), or 8 rows at 4 depths 2 apart (4 modulo 16); consecutive rows otherwise.
constexpr int row_pad(const Tiling& t, bool by_depth) {
  if (t.warpgroup)
    return by_depth ? 0 : 8;
  return t.math != Math::fma && by_depth ? 8 : 4;
}
constexpr int column_pad(const Tiling& t, bool by_depth) {
  return t.warpgroup ? 0 : t.math != Math::fma && by_depth ? 8 : 4;
}
/// Columns of a slice in shared memory: so many that threads share their copies evenly.
constexpr int copied_columns(const Tiling& t) {
  return int(round_up(t.columns, 32));
}
/// A slice of columns as the instructions of a warpgroup take it, or each of its parts.
constexpr int part_floats(const Tiling& t) {
  return t.columns * t.slice / (t.math == Math::bf16 ? 2 : 1);
}
constexpr int rounded_floats(const Tiling& t) {
  return part_floats(t) * (has_parts(t) ? 2 : 1);
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
  return t.stages * t.slice * t.taps > 2 * usual_slice ? t.rows : t.rows / 2;
}
/// Floats between staged rows: a warp writes two columns of four rows by four threads each, in
/// different banks (strides of 8 modulo 16).
constexpr int staged_stride(const Tiling& t) {
  return t.columns + 8;
}

/// Bytes that the slices take while products are summed: with a halo, two blocks of channels of the
/// rows, one of which is on its way, and the columns.
constexpr int halo_slice_bytes(const Conv2d& c, ContractionPass pass, const Tiling& t) {
  const int bytes = rounded_bytes(t.math);
  return 4 * (2 * direct_rows(halo_lines(c, pass, t), t.slice, true, bytes).floats +
              t.stages * direct_rows(copied_columns(t), t.taps * t.slice, true, bytes).floats);
}
constexpr int slice_bytes(const Conv2d& c, ContractionPass pass, const Tiling& t) {
  if (t.halo)
    return halo_slice_bytes(c, pass, t);
  const bool rows_deep = rows_by_depth(pass), columns_deep = columns_by_depth(c, pass);
  const bool direct_columns = has_direct_columns(c, pass, t);
  auto floats = [&](int extent, bool by_depth, int pad, bool as_taken) {
    // Of TF32, depths of a line are neighbours even where they are not in memory.
    const int bytes = rounded_bytes(t.math);
    const int floats =
        as_taken ? direct_rows(extent, t.slice, by_depth || t.math == Math::tf32, bytes).floats
                 : slice_floats(extent, t.slice, by_depth, pad);
    return t.warpgroup ? swizzled_floats(floats) : floats;
  };
  return 4 * (t.stages *
                  (floats(t.rows, rows_deep, row_pad(t, rows_deep), has_direct_rows(c, pass, t)) +
                   floats(copied_columns(t), columns_deep, column_pad(t, columns_deep),
                          direct_columns)) +
              (t.warpgroup && !direct_columns ? 2 * rounded_floats(t) : 0));
}
constexpr int tile_shared_bytes(const Conv2d& c, ContractionPass pass, const Tiling& t) {
  const int staged = t.math == Math::fma ? 0 : 4 * staged_rows(t) * staged_stride(t);
  return int(max_of(staged, slice_bytes(c, pass, t)));
}

constexpr long tiles(const Conv2d& c, ContractionPass pass, const Tiling& t) {
  const ProductShape p = product_shape(c, pass);
  return p.groups * ceil_div(tiled_rows(c, pass, t), t.rows) * ceil_div(p.columns, t.columns);
}
/// What is shared among the splits: slices, or where a halo is copied for all taps, those of a
/// block of channels together.
constexpr long shared_slices(const Conv2d& c, ContractionPass pass, const Tiling& t) {
  return ceil_div(product_shape(c, pass).depth, t.slice * (t.halo ? taps_of(c) : 1));
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
