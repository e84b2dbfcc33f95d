#pragma once
// Tiled products: what all CUDA contractions are made of. A block takes one tile of the result at a
// time, through a pipeline of slices in shared memory.
//
// A product gives:
//
//     A a; B b;                        operands, see slice.h; a has the rows, b the columns
//     static constexpr int leaves;     parts of the depth with a sum of their own, 1, 2, 4 or 8
//     static int depth(int leaf);
//     void finish(int row, int column, int count, float* sums) const;
//                                      takes `count` consecutive columns of a row, each once
//     Product at(int group) const;     the same for another of its independent groups
//
// Fast products have one leaf, and may be cut in splits instead (tiling.h). The leaves of exact
// ones are added in a balanced binary tree.

#include "codegen/device/cuda/warpgroup.h"

namespace netc {

/// An epilogue that does nothing. Any other has the same call: it updates in place the `count`
/// channels from `channel` on of one output pixel, in registers, before they are stored.
struct NoEpilogue {
  void operator()(float* /*row*/, long /*pixel*/, int /*channel*/, int /*count*/) const {}
};

/// Where a tile begins, which slices of the depth it adds, and for which split.
struct TilePlace {
  int group, row, column, split;
};

template <Tiling t> struct SumsOf { using Type = MmaSums<t.rows, t.columns, t.math>; };
template <Tiling t>
requires(t.math == Math::fma) struct SumsOf<t> {
  using Type = FmaSums<t.rows, t.columns>;
};
template <Tiling t>
requires(t.warpgroup) struct SumsOf<t> {
  using Type = WarpgroupSums<t.rows, t.columns, t.math>;
};

/// The slices of a block in shared memory, `stages` of each operand; behind them, of two slices,
/// the columns as the instructions of a warpgroup take them.
template <class Product, Tiling t> struct Slices {
  using A = SliceLayout<t.rows, Product::A::by_depth, row_pad(t, Product::A::by_depth)>;
  using B = SliceLayout<t.columns, Product::B::by_depth, column_pad(t, Product::B::by_depth)>;
  static Shared<float> a(int stage) {
    return shared_array<float>(stage * (A::floats + B::floats) * 4, A::floats);
  }
  static Shared<float> b(int stage) {
    return shared_array<float>((stage * (A::floats + B::floats) + A::floats) * 4, B::floats);
  }
  static Shared<float> rounded(int slice) {
    constexpr int floats = rounded_floats(t);
    return shared_array<float>((t.stages * (A::floats + B::floats) + slice % 2 * floats) * 4,
                               floats);
  }
};

/// The place of the slice before, which is the next to be filled.
template <int stages> int stage_before(int stage) {
  return stage == 0 ? stages - 1 : stage - 1;
}

/// Multiplies slices first .. end - 1, of which all but the last stage are under way;
/// load(slice, stage) brings further ones.
template <Tiling t, class S, class Load, class Sums>
void multiply(Load load, int first, int end, Sums& sums) {
  int stage = 0;
  for (int slice = first; slice < end; ++slice) {
    copy_wait<t.stages - 2>();
    barrier(); // the slice is there; the one before has been read, its place is free
    load(slice + t.stages - 1, stage_before<t.stages>(stage));
    sums.template add<typename S::A, typename S::B>(S::a(stage), S::b(stage));
    stage = stage + 1 == t.stages ? 0 : stage + 1;
  }
}

/// The same by a warpgroup: while it multiplies a slice, the columns of the next are rounded.
template <Tiling t, class S, class Load, class Sums>
void multiply_rounded(Load load, int first, int end, Sums& sums) {
  static_assert(t.stages >= 3, "the next slice arrives before this one is multiplied");
  if (first >= end)
    return;
  copy_wait<t.stages - 2>();
  barrier(); // the first slice is there
  sums.template round_columns<typename S::B>(S::b(0), S::rounded(0));
  int stage = 0;
  for (int slice = first; slice < end; ++slice) {
    const int next = stage + 1 == t.stages ? 0 : stage + 1;
    copy_wait<t.stages - 3>();
    show_to_warpgroups(); // the columns that this thread rounded
    sums.wait();
    barrier(); // the next slice is there; the one before has been multiplied, its places are free
    sums.template start<typename S::A>(S::a(stage), S::rounded(slice - first));
    load(slice + t.stages - 1, stage_before<t.stages>(stage));
    if (slice + 1 < end)
      sums.template round_columns<typename S::B>(S::b(next), S::rounded(slice - first + 1));
    stage = next;
  }
  sums.wait();
}

/// Adds slices first .. end - 1 of a leaf to a thread's part of the tile. All threads of the block
/// call it together.
template <Tiling t, class Product, class Sums>
void add_slices(const Product& p, const TilePlace& place, int leaf, int first, int end,
                Sums& sums) {
  using S = Slices<Product, t>;
  const SliceLoader<typename Product::A, typename S::A> a(p.a, place.row);
  const SliceLoader<typename Product::B, typename S::B> b(p.b, place.column);
  const int depth = Product::depth(leaf);
  auto load = [&](int slice, int stage) {
    if (slice < end) {
      a.load(S::a(stage), leaf, slice * slice_depth, depth);
      b.load(S::b(stage), leaf, slice * slice_depth, depth);
    }
    copy_commit(); // a group each, so that the groups on their way can be counted
  };
  barrier(); // slices of another leaf or tile may still be read
  for (int stage = 0; stage < t.stages - 1; ++stage)
    load(first + stage, stage);
  if constexpr (t.warpgroup)
    multiply_rounded<t, S>(load, first, end, sums);
  else
    multiply<t, S>(load, first, end, sums);
}

/// The sum of a whole leaf.
template <Tiling t, class Product>
typename SumsOf<t>::Type sum_leaf(const Product& p, const TilePlace& place, int leaf) {
  typename SumsOf<t>::Type sums;
  add_slices<t>(p, place, leaf, 0, static_cast<int>(ceil_div(Product::depth(leaf), slice_depth)),
                sums);
  return sums;
}

/// The balanced binary tree over the leaves.
template <Tiling t, class Product>
typename SumsOf<t>::Type sum_leaves(const Product& p, const TilePlace& place) {
  typename SumsOf<t>::Type left[3];
  int level = 0;
  for (int leaf = 0;; ++leaf) {
    typename SumsOf<t>::Type sum = sum_leaf<t>(p, place, leaf);
    // A leaf with an odd number completes a left neighbour.
    for (int bits = leaf; bits & 1; bits >>= 1)
      sum = left[--level] + sum;
    if (leaf + 1 == Product::leaves)
      return sum;
    left[level++] = sum;
  }
}

/// Calls use(row, column, count, values) for the runs of a tile that exist in a result of
/// rows x columns.
template <int rows, int columns, class Sums, class Use>
void visit_existing(const Sums& sums, const TilePlace& place, Use use) {
  sums.visit([&](int row, int column, int count, float* values) {
    row += place.row;
    column += place.column;
    if (row >= rows)
      return;
    if constexpr (columns % 2 == 0) { // runs are of 1 or 2, at even columns then
      if (column < columns)
        use(row, column, count, values);
    } else {
      for (int i = 0; i < count; ++i)
        if (column + i < columns)
          use(row, column + i, 1, values + i);
    }
  });
}

/// A split's share of the sums: [split][group][row][column].
template <ProductShape shape> long share_index(int split, int group, int row, int column) {
  return ((long(split) * shape.groups + group) * shape.rows + row) * shape.columns + column;
}

template <Tiling t, ProductShape shape, class Product>
void one_tile(const Product& p, const TilePlace& place, Global<float> shares) {
  constexpr int rows = shape.rows, columns = shape.columns;
  if constexpr (Product::leaves > 1) {
    const auto sums = sum_leaves<t>(p, place);
    visit_existing<rows, columns>(sums, place, [&](int row, int column, int count, float* values) {
      p.finish(row, column, count, values);
    });
  } else if constexpr (t.splits == 1) {
    const auto sums = sum_leaf<t>(p, place, 0);
    visit_existing<rows, columns>(sums, place, [&](int row, int column, int count, float* values) {
      p.finish(row, column, count, values);
    });
  } else {
    constexpr long slices = ceil_div(shape.depth, slice_depth);
    typename SumsOf<t>::Type sums;
    add_slices<t>(p, place, 0, static_cast<int>(share(slices, place.split, t.splits)),
                  static_cast<int>(share(slices, place.split + 1, t.splits)), sums);
    visit_existing<rows, columns>(sums, place, [&](int row, int column, int count, float* values) {
      const long at = share_index<shape>(place.split, place.group, row, column);
      for (int i = 0; i < count; ++i)
        shares[at + i] = values[i];
    });
  }
}

/// Computes a product, or the shares of its splits. All threads of the grid call it together, in
/// blocks of tile_threads.
template <Tiling t, ProductShape shape, class Product>
void tiled_product(const Product& p, Global<float> shares) {
  static_assert(shape.rows < (1L << 31) && shape.columns < (1L << 31) && shape.depth < (1L << 31),
                "rows, columns and depth are counted in int");
  constexpr long column_tiles = ceil_div(shape.columns, t.columns);
  constexpr long row_tiles = ceil_div(shape.rows, t.rows);
  constexpr long all = tiles(shape, t);
  for (long i = block(); i < all * t.splits; i += blocks()) {
    const TilePlace place{static_cast<int>(i / (row_tiles * column_tiles) % shape.groups),
                          static_cast<int>(i / column_tiles % row_tiles) * t.rows,
                          static_cast<int>(i % column_tiles) * t.columns,
                          static_cast<int>(i / all)};
    one_tile<t, shape>(p.at(place.group), place, shares);
  }
}

/// Adds the shares of the splits, in order.
template <Tiling t, ProductShape shape, class Product>
void add_shares(const Product& p, Global<const float> shares) {
  constexpr int run = shape.columns % 2 == 0 ? 2 : 1;
  constexpr long runs = shape.groups * shape.rows * shape.columns / run;
  for (long i = block() * lanes() + lane(); i < runs; i += blocks() * lanes()) {
    const int column = static_cast<int>(i % (shape.columns / run)) * run;
    const long line = i / (shape.columns / run);
    const int row = static_cast<int>(line % shape.rows),
              group = static_cast<int>(line / shape.rows);
    float sums[run] = {};
    for (int split = 0; split < t.splits; ++split) {
      const long at = share_index<shape>(split, group, row, column);
      for (int j = 0; j < run; ++j)
        sums[j] += shares[at + j];
    }
    p.at(group).finish(row, column, run, sums);
  }
}

} // namespace netc
