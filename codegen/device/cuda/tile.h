#pragma once
// Tiled products: what all CUDA contractions are made of. result[row][column] is the sum over a
// depth k of an element (row, k) of one operand and an element (k, column) of the other, both
// computed from their indices, so that no operand is ever laid out anew.
//
// A block takes one tile of the result at a time. It brings a slice of both operands, `tile_depth`
// deep, to shared memory; each thread adds the slice's products to its own part of the tile, in
// registers.

#include "codegen/device/cpu/contraction_shape.h"
#include "codegen/device/cuda/kernel.h"

namespace netc {

/// An epilogue that does nothing. Any other has the same call: it updates in place the `count`
/// channels from `channel` on of one output pixel, at `row`.
struct NoEpilogue {
  void operator()(float* /*row*/, long /*pixel*/, int /*channel*/, int /*count*/) const {}
};

constexpr int tile_size = 64;  ///< Rows, and columns, of a tile.
constexpr int tile_depth = 16; ///< Of a slice.
constexpr int part_size = 4;   ///< Rows, and columns, of a thread's part.
constexpr int tile_parts = tile_size * tile_size / (part_size * part_size);
static_assert(tile_parts == usual_lanes, "a thread has one part");

/// A slice of the operands. Rows of the array are longer than a tile, so that threads that write
/// along the depth meet in few banks of shared memory.
struct TileSlice {
  static constexpr int stride = tile_size + part_size;
  float rows[tile_depth][stride];
  float columns[tile_depth][stride];
};

/// A thread's part of a tile.
struct TilePart {
  float sum[part_size][part_size];

  TilePart operator+(const TilePart& other) const {
    TilePart result;
    for (int i = 0; i < part_size; ++i)
      for (int j = 0; j < part_size; ++j)
        result.sum[i][j] = sum[i][j] + other.sum[i][j];
    return result;
  }
};

/// Where a tile begins, in which of the independent products (the groups of a convolution).
struct TilePlace {
  int group, row, column;
};

/// What tiled_product computes. A product derives from this with its own constants and adds:
///
///     int depth(int leaf) const;
///     float row_element(int group, int leaf, int k, int row) const;
///     float column_element(int group, int leaf, int k, int column) const;
///     void finish(int group, int row, int column, int count, const float* sums) const;
///
/// A leaf is a part of the depth with a sum of its own; the leaves are added in a balanced binary
/// tree. `finish` gets `count` consecutive columns of a row, each element of the result once.
///
/// `rows_by_depth` says that consecutive k, not consecutive rows, are neighbours in memory, so
/// that neighbouring threads read them; `columns_by_depth` likewise.
template <long rows_, long columns_, int groups_, int leaves_, bool rows_by_depth_,
          bool columns_by_depth_>
struct TiledProduct {
  static_assert(rows_ < (1L << 31) && columns_ < (1L << 31), "rows and columns are counted in int");
  static constexpr int rows = rows_, columns = columns_, groups = groups_, leaves = leaves_;
  static constexpr bool rows_by_depth = rows_by_depth_, columns_by_depth = columns_by_depth_;
};

/// Depth and row (or column) of the i-th element of a slice that threads bring in.
struct SliceIndex {
  int k, at;
};
template <bool by_depth> SliceIndex slice_index(int i) {
  return by_depth ? SliceIndex{i % tile_depth, i / tile_depth}
                  : SliceIndex{i / tile_size, i % tile_size};
}

/// Brings the slice at depth k0 of a leaf to shared memory, with zeros for what does not exist.
template <class Product>
void load_slice(const Product& p, const TilePlace& place, int leaf, int depth, int k0,
                TileSlice& slice) {
  for (int i = lane(); i < tile_size * tile_depth; i += lanes()) {
    const SliceIndex r = slice_index<Product::rows_by_depth>(i);
    const int k = k0 + r.k, row = place.row + r.at;
    slice.rows[r.k][r.at] =
        k < depth && row < Product::rows ? p.row_element(place.group, leaf, k, row) : 0.0f;
  }
  for (int i = lane(); i < tile_size * tile_depth; i += lanes()) {
    const SliceIndex c = slice_index<Product::columns_by_depth>(i);
    const int k = k0 + c.k, column = place.column + c.at;
    slice.columns[c.k][c.at] = k < depth && column < Product::columns
                                   ? p.column_element(place.group, leaf, k, column)
                                   : 0.0f;
  }
}

/// The sum of a leaf, in order of the depth. All threads of the block call it together; those
/// whose `part` the tile does not have only help to bring in slices.
template <class Product>
TilePart sum_leaf(const Product& p, const TilePlace& place, int leaf, int part) {
  TileSlice& slice = shared_object<TileSlice>();
  const int row = part / (tile_size / part_size) * part_size;
  const int column = part % (tile_size / part_size) * part_size;
  const int depth = p.depth(leaf);
  TilePart result{};
  for (int k0 = 0; k0 < depth; k0 += tile_depth) {
    load_slice(p, place, leaf, depth, k0, slice);
    barrier();
    if (part < tile_parts)
      for (int k = 0; k < tile_depth; ++k)
        for (int i = 0; i < part_size; ++i)
          for (int j = 0; j < part_size; ++j)
            result.sum[i][j] += slice.rows[k][row + i] * slice.columns[k][column + j];
    barrier();
  }
  return result;
}

/// The balanced binary tree over sum_leaf(0) .. sum_leaf(leaves - 1), a power of two up to 8.
template <class Product> TilePart sum_leaves(const Product& p, const TilePlace& place, int part) {
  TilePart left[3];
  int level = 0;
  for (int leaf = 0;; ++leaf) {
    TilePart sum = sum_leaf(p, place, leaf, part);
    // A leaf with an odd number completes a left neighbour.
    for (int bits = leaf; bits & 1; bits >>= 1)
      sum = left[--level] + sum;
    if (leaf + 1 == Product::leaves)
      return sum;
    left[level++] = sum;
  }
}

/// Hands the elements of a part that exist to the product.
template <class Product>
void finish_part(const Product& p, const TilePlace& place, int part, const TilePart& result) {
  const int row = place.row + part / (tile_size / part_size) * part_size;
  const int column = place.column + part % (tile_size / part_size) * part_size;
  const int count = min(part_size, Product::columns - column);
  for (int i = 0; i < part_size; ++i)
    if (row + i < Product::rows && count > 0)
      p.finish(place.group, row + i, column, count, result.sum[i]);
}

/// Computes a product. All threads of the grid call it with the same arguments.
template <class Product> void tiled_product(const Product& p) {
  constexpr long column_tiles = ceil_div(Product::columns, tile_size);
  constexpr long row_tiles = ceil_div(Product::rows, tile_size);
  for (long tile = block(); tile < Product::groups * row_tiles * column_tiles; tile += blocks()) {
    const TilePlace place{static_cast<int>(tile / (row_tiles * column_tiles)),
                          static_cast<int>(tile / column_tiles % row_tiles) * tile_size,
                          static_cast<int>(tile % column_tiles) * tile_size};
    for (int first = 0; first < tile_parts; first += lanes()) {
      const int part = first + lane();
      const TilePart result = sum_leaves(p, place, part);
      if (part < tile_parts)
        finish_part(p, place, part, result);
    }
  }
}

/// A leaf of a reduced dimension of `extent`: its first index and how many it has.
struct LeafRange {
  int first, count;
};
template <int extent, int leaves> LeafRange leaf_range(int leaf) {
  const int first = static_cast<int>(share(extent, leaf, leaves));
  return {first, static_cast<int>(share(extent, leaf + 1, leaves)) - first};
}

} // namespace netc
