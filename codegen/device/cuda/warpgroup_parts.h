#pragma once
// Sums of three TF32 products by the matrix instructions of a warpgroup: of the rounded operands,
// and of each with what rounding left of the other. They leave out the product of both rests, and
// what rounding leaves of these: 2^-21 of a whole product at most. Rows come from registers,
// columns from shared memory.

#include "codegen/device/cuda/warpgroup.h"

namespace netc {

/// A thread's part of a tile, as of WarpgroupSums. Matrix units add less exactly than f32 does: so
/// the sums of a slice are their own, small products first, and f32 adds them up.
template <Tiling t> struct WarpgroupPartSums : WarpgroupTile<t> {
  using Tile = WarpgroupTile<t>;
  using Tile::m, Tile::n, Tile::steps, Tile::columns;
  /// Of a slice, one after the other: two small ones a step, then the large one of each.
  static constexpr int products = 3 * steps;

  float sum[m][n][4] = {};
  float slice_sum[m][n][4] = {}; ///< Of the slice that is multiplied.
  float next[steps][m][4];       ///< Rows of the slice behind it.
  unsigned left[steps][m][4], left_rest[steps][m][4];
  WarpgroupQueue<products * m> queue;

  /// Rounds the columns of a slice, as of WarpgroupSums: the rests lie behind all of them.
  template <class A, class B, int parts>
  static void round_columns(Shared<const float> from, Shared<float> to, int part) {
    Tile::template each_unit<parts>(part, [&](int line, int unit) {
      float v[8];
      B::eight(from, line, 8 * unit, v);
      unsigned high[8], rest[8];
      for (int i = 0; i < 8; ++i)
        split(v[i], high[i], rest[i]);
      const int at = 2 * unit * piece_apart + line * 4;
      store_words(to, at, high[0], high[1], high[2], high[3]);
      store_words(to, at + piece_apart, high[4], high[5], high[6], high[7]);
      store_words(to, at + part_floats(t), rest[0], rest[1], rest[2], rest[3]);
      store_words(to, at + part_floats(t) + piece_apart, rest[4], rest[5], rest[6], rest[7]);
    });
  }

  /// Brings the rows of the next slice to registers.
  template <class A> void bring_rows(Shared<const float> from) {
#pragma unroll
    for (int step = 0; step < steps; ++step)
#pragma unroll
      for (int i = 0; i < m; ++i)
        A::block(from, this->row(i), 8 * step, next[step][i]);
  }
  /// They are those of the slice that is multiplied from now on.
  void round_rows() {
#pragma unroll
    for (int step = 0; step < steps; ++step)
#pragma unroll
      for (int i = 0; i < m; ++i)
#pragma unroll
        for (int r = 0; r < 4; ++r)
          split(next[step][i][r], left[step][i][r], left_rest[step][i][r]);
  }

  /// Starts to add a product with columns that were rounded.
  void multiply_rounded(int product, Shared<const float> rounded) {
    const bool small = product < 2 * steps, of_rows = small && product % 2 == 0;
    const int step = small ? product / 2 : product - 2 * steps;
    const WarpgroupOperand high = Tile::rounded_operand(rounded, step);
#pragma unroll
    for (int i = 0; i < m; ++i)
      if (product == 0)
        warpgroup_tf32<columns, true>(queue, slice_sum[i], left_rest[step][i], high);
      else if (of_rows)
        warpgroup_tf32<columns>(queue, slice_sum[i], left_rest[step][i], high);
      else
        warpgroup_tf32<columns>(queue, slice_sum[i], left[step][i],
                                small ? high + part_floats(t) : high);
  }
  /// The slice's products have been started.
  void commit() {
    warpgroup_commit(queue);
  }
  /// Waits for them and adds them.
  template <int pending> void wait() {
    static_assert(pending == 0, "the sums of a slice are added before the next begins");
    warpgroup_wait<0>(queue, slice_sum);
#pragma unroll
    for (int i = 0; i < m; ++i)
#pragma unroll
      for (int j = 0; j < n; ++j)
#pragma unroll
        for (int r = 0; r < 4; ++r)
          sum[i][j][r] += slice_sum[i][j][r];
  }

  template <class Use> void visit(Use use) const {
    this->visit_sums(sum, use);
  }

private:
  using Tile::piece_apart, Tile::store_words;

  static void split(float value, unsigned& high, unsigned& rest) {
    high = to_tf32(value);
    rest = to_tf32(value - as_float(high));
  }
};

} // namespace netc
