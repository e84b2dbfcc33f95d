#pragma once
// Tiled products: what all CUDA contractions are made of. A block takes one tile of the result at a
// time, through a pipeline of slices in shared memory.
//
// A product gives:
//
//     A a; B b;                        operands, see slice.h; a has the rows, b the columns
//     static constexpr bool direct_rows, direct_columns;   whether these are copied as the
//                                      instructions of a warpgroup take them, see is_direct,
//     static constexpr bool direct;    and whether these take both from there
//     static constexpr int leaves;     parts of the depth with a sum of their own, 1, 2, 4 or 8
//     static int depth(int leaf);
//     static constexpr int slices;     what the splits share, see shared_slices
//     Pixels; int taps, halo_lines, line_of(int tap);   of a halo, see PassTraits in conv2d.h
//     static constexpr bool whole;     whether slices divide the depth of every leaf
//     static constexpr bool in_order;  whether the columns of a row are neighbours in memory
//     void finish(long row, int column, int count, float* sums) const;
//                                      takes a column of a row, or 4 from a multiple of 4 on that
//                                      are neighbours in memory; each once
//     Product at(int group) const;     the same for another of its independent groups
//
// Fast products have one leaf, and may be cut in splits instead (tiling.h). The leaves of exact
// ones are added in a balanced binary tree.

#include "codegen/device/cuda/halo.h"

namespace netc {

/// An epilogue that does nothing. Any other has the same call: it updates in place the `count`
/// channels from `channel` on of one output pixel, in registers, before they are stored.
struct NoEpilogue {
  void operator()(float* /*row*/, long /*pixel*/, int /*channel*/, int /*count*/) const {}
};

/// Adds slices first .. end - 1 of a leaf to a thread's part of the tile. All threads of the block
/// call it together.
template <Tiling t, class Product, class Sums>
requires(t.halo) void add_slices(const Product& p, const TilePlace& place, int /*leaf*/, int first,
                                 int end, Sums& sums) {
  add_halo_slices<t>(p, place, first, end, sums);
}
template <Tiling t, class Product, class Sums>
requires(!t.halo) void add_slices(const Product& p, const TilePlace& place, int leaf, int first,
                                  int end, Sums& sums) {
  using S = Slices<Product, t>;
  const SliceLoader<typename Product::A, typename S::A, threads_of(t), Product::whole> a(p.a,
                                                                                         place.row);
  const SliceLoader<typename Product::B, typename S::B, threads_of(t), Product::whole> b(
      p.b, place.column);
  const int depth = Product::depth(leaf);
  auto load = [&](int slice, int stage, int operand) {
    if (slice >= end)
      return;
    if (operand == 0)
      a.load(S::a(stage), leaf, slice * t.slice, depth);
    else
      b.load(S::b(stage), leaf, slice * t.slice, depth);
  };
  barrier(); // slices of another leaf or tile may still be read
  if constexpr (has_ones<typename Product::A>)
    if (place.row + t.rows > Product::A::ones)
      for (int stage = 0; stage < t.stages; ++stage)
        a.set_ones(S::a(stage));
  constexpr bool rounds = t.warpgroup && !Product::direct_columns;
  constexpr int ahead = Product::direct ? slices_ahead_direct<t>
                        : rounds        ? slices_ahead_rounded<t>
                                        : t.stages - 1;
  for (int stage = 0; stage < ahead; ++stage) {
    for (int operand = 0; operand < 2; ++operand)
      load(first + stage, stage, operand);
    copy_commit(); // a group each, so that the groups on their way can be counted
  }
  if constexpr (Product::direct)
    multiply_direct<t>([&](int slice, int stage) { load(slice, stage, 0), load(slice, stage, 1); },
                       [&](int stage) {
                         sums.template multiply_direct<typename S::A, typename S::B>(S::a(stage),
                                                                                     S::b(stage));
                       },
                       first, end, sums);
  else if constexpr (t.warpgroup && Product::direct_columns)
    multiply_rows<t, S>(load, first, end, sums);
  else if constexpr (rounds)
    multiply_rounded<t, S>(load, first, end, sums);
  else
    multiply<t, S>(load, first, end, sums);
}

/// The sum of a whole leaf.
template <Tiling t, class Product>
typename SumsOf<t>::Type sum_leaf(const Product& p, const TilePlace& place, int leaf) {
  typename SumsOf<t>::Type sums;
  const long slices = t.halo ? Product::slices : ceil_div(Product::depth(leaf), t.slice);
  add_slices<t>(p, place, leaf, 0, static_cast<int>(slices), sums);
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

/// Calls use(row, column, 1, value) for the sums of a tile that exist in a result of rows x
/// columns, as the threads have them.
template <Tiling t, int rows, int columns, class Sums, class Use>
void visit_existing(const Sums& sums, const TilePlace& place, Use use) {
  sums.visit([&](int row, int column, int count, float* values) {
    row += place.row;
    if (row >= rows) // also where all exist: there are registers for the loads of one row at once
      return;
    for (int i = 0; i < count; ++i)
      if (columns % t.columns == 0 || place.column + column + i < columns)
        use(row, place.column + column + i, 1, values + i);
  });
}

/// Rows that a warp takes at once: a thread's loads for so many sums are on their way together.
template <Tiling t> constexpr int taken_rows = t.columns > 64 ? 8 : 16;

/// Calls use(row, column, 1, value) for the sums of taken_rows rows; staged(i) has those of the
/// i-th. Lanes have neighbouring columns: a warp's accesses to a row of memory are one. Without
/// `all`, some may not exist in a result of rows x columns.
template <Tiling t, int columns, bool all, class Staged, class Use>
void take_rows(Staged staged, long row, long rows, int column, Use use) {
  constexpr int segments = ceil_div(t.columns, 32), count = taken_rows<t> * segments;
  column += warp_lane();
  // Of the last segment all lanes have a column, or half of them.
  auto in_tile = [](int i) {
    return t.columns % 32 == 0 || i % segments * 32 + warp_lane() < t.columns;
  };
  float values[count];
#pragma unroll
  for (int i = 0; i < count; ++i)
    if (in_tile(i))
      values[i] = staged(i / segments)[i % segments * 32 + warp_lane()];
#pragma unroll
  for (int i = 0; i < count; ++i)
    if (in_tile(i) && (all || (row + i / segments < rows && column + i % segments * 32 < columns)))
      use(row + i / segments, column + i % segments * 32, 1, values + i);
}

/// The rows of the result among the staged ones, which begin with a tile's row `from`. With a halo
/// there is padding between them.
template <Tiling t, class Product, long rows> struct StagedRows {
  using Pixels = typename Product::Pixels;
  /// Whether no row is behind the last.
  static constexpr bool whole = rows % t.rows == 0 && !t.halo;
  using Row = typename Choose<t.halo, int, long>::Type; ///< Padded pixels are counted in int.
  Row from, begin, end;

  explicit StagedRows(Row from)
      : from(from), begin(t.halo ? Pixels::pixels_before(from) : from),
        end(t.halo ? Pixels::pixels_before(from + staged_rows(t)) : rows) {}
  int count() const { return t.halo ? static_cast<int>(end - begin) : staged_rows(t); }
  /// Where a row is staged; of one behind the last, anywhere.
  int at(Row row) const {
    return t.halo ? min(static_cast<int>(Pixels::place_of(row) - from), staged_rows(t) - 1)
                  : static_cast<int>(row - from);
  }
};

/// The same as visit_existing, but row by row: a thread of the matrix instructions has two columns
/// of many rows, and memory moves many columns of a row. The sums take the place of the slices in
/// shared memory, staged_rows at a time. All threads of the block call it together.
template <Tiling t, class Product, long rows, int columns, class Sums, class Use>
void visit_rows(const Sums& sums, const TilePlace& place, Use use) {
  constexpr int stride = staged_stride(t);
  const Shared<float> staged = shared_array<float>(0, staged_rows(t) * stride);
  for (int first = 0; first < t.rows; first += staged_rows(t)) {
    barrier(); // the slices, or the rows before these, have been read
    sums.visit([&](int row, int column, int /*count*/, float* values) {
      if (staged_rows(t) == t.rows || row / staged_rows(t) * staged_rows(t) == first)
        store2(staged, (row - first) * stride + column, {values[0], values[1]});
    });
    barrier();
    const StagedRows<t, Product, rows> there(place.row + first);
    for (int i = warp() * taken_rows<t>; i < there.count(); i += warps() * taken_rows<t>) {
      const auto row = there.begin + i;
      auto staged_row = [&](int r) {
        return Shared<const float>(staged + there.at(row + r) * stride);
      };
      if ((there.whole || row + taken_rows<t> <= there.end) &&
          (columns % t.columns == 0 || place.column + t.columns <= columns))
        take_rows<t, columns, true>(staged_row, row, there.end, place.column, use);
      else
        take_rows<t, columns, false>(staged_row, row, there.end, place.column, use);
    }
  }
}

/// A split's share of the sums: [split][group][row][column].
template <ProductShape shape> long share_index(int split, int group, long row, int column) {
  return ((long(split) * shape.groups + group) * shape.rows + row) * shape.columns + column;
}

template <Tiling t, ProductShape shape, class Product>
void one_tile(const Product& p, const TilePlace& place, Global<float> shares) {
  constexpr int rows = shape.rows, columns = shape.columns;
  auto visit = [&](const auto& sums, auto use) {
    if constexpr (t.math == Math::fma) // 16 neighbouring columns are with 16 threads already
      visit_existing<t, rows, columns>(sums, place, use);
    else
      visit_rows<t, Product, rows, columns>(sums, place, use);
  };
  auto finish = [&](long row, int column, int count, float* values) {
    p.finish(row, column, count, values);
  };
  if constexpr (Product::leaves > 1) {
    visit(sum_leaves<t>(p, place), finish);
  } else if constexpr (t.splits == 1) {
    visit(sum_leaf<t>(p, place, 0), finish);
  } else {
    constexpr long slices = Product::slices;
    typename SumsOf<t>::Type sums;
    add_slices<t>(p, place, 0, static_cast<int>(share(slices, place.split, t.splits)),
                  static_cast<int>(share(slices, place.split + 1, t.splits)), sums);
    visit(sums, [&](long row, int column, int, float* value) {
      shares[share_index<shape>(place.split, place.group, row, column)] = *value;
    });
  }
}

/// Computes a product, or the shares of its splits. All threads of the grid call it together, in
/// blocks of threads_of(t).
template <Tiling t, ProductShape shape, long tiled_rows, class Product>
void tiled_product(const Product& p, Global<float> shares) {
  static_assert(tiled_rows < (1L << 31) && shape.columns < (1L << 31) && shape.depth < (1L << 31),
                "rows, columns and depth are counted in int");
  static_assert(copied_columns(t) == t.columns || shape.columns <= t.columns,
                "copies bring more columns than the tile has: it is the only one");
  constexpr long column_tiles = ceil_div(shape.columns, t.columns);
  constexpr long row_tiles = ceil_div(tiled_rows, t.rows);
  constexpr long all = shape.groups * row_tiles * column_tiles;
  for (long i = block(); i < all * t.splits; i += blocks()) {
    const TilePlace place{static_cast<int>(i / (row_tiles * column_tiles) % shape.groups),
                          static_cast<int>(i / column_tiles % row_tiles) * t.rows,
                          static_cast<int>(i % column_tiles) * t.columns,
                          static_cast<int>(i / all)};
    one_tile<t, shape>(p.at(place.group), place, shares);
  }
}

/// Adds `count` floats from `at` on, 1 or 4; four are aligned.
template <int count> void add_run(float (&sums)[count], Global<const float> from, long at) {
  if constexpr (count == 4) {
    const Float4 run = load4(from, at);
    sums[0] += run.x, sums[1] += run.y, sums[2] += run.z, sums[3] += run.w;
  } else {
    sums[0] += from[at];
  }
}

/// Adds the shares of the splits, in order. A thread takes four sums at a time: neighbours where
/// four of a row are, else `lanes` apart.
template <Tiling t, ProductShape shape, class Product>
void add_shares(const Product& p, Global<const float> shares) {
  constexpr int count = Product::in_order && shape.columns % 4 == 0 ? 4 : 1;
  constexpr int runs = 4 / count;
  constexpr long all = shape.groups * shape.rows * shape.columns / count;
  using Index = typename IndexOf<(all > 1 << 30)>::Type;
  for (long first = block() * lanes() * runs + lane(); first < all;
       first += blocks() * lanes() * runs) {
    float sums[runs][count] = {};
    long row[runs], at[runs];
    int column[runs], group[runs];
#pragma unroll
    for (int r = 0; r < runs; ++r) { // beyond the last run, the last again
      const Index i = static_cast<Index>(first + r * lanes() < all ? first + r * lanes() : all - 1);
      const Index line = i / Index(shape.columns / count);
      column[r] = static_cast<int>(i % Index(shape.columns / count)) * count;
      row[r] = line % Index(shape.rows);
      group[r] = static_cast<int>(line / Index(shape.rows));
      at[r] = share_index<shape>(0, group[r], row[r], column[r]);
    }
#pragma unroll 8
    for (int split = 0; split < t.splits; ++split)
#pragma unroll
      for (int r = 0; r < runs; ++r)
        add_run(sums[r], shares, at[r] + share_index<shape>(split, 0, 0, 0));
#pragma unroll
    for (int r = 0; r < runs; ++r)
      if (first + r * lanes() < all)
        p.at(group[r]).finish(row[r], column[r], count, sums[r]);
  }
}

} // namespace netc
