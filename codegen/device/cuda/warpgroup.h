#pragma once
// Sums by the matrix instructions of a warpgroup. Operands that memory holds rounded are copied as
// the instructions take them from shared memory (DirectLayout). Rows that are not come from
// registers, rounded on their way; columns that are not are rounded and laid out by a pass of its
// own, while the slice before is multiplied.

#include "codegen/device/cuda/sums.h"

namespace netc {

/// What warpgroups have in common: how the tile is theirs, and how columns lie that are rounded.
template <Tiling t> struct WarpgroupTile {
  static constexpr Math math = t.math;
  static constexpr int columns = t.columns;
  /// Rows of a warpgroup.
  static constexpr int rows = t.rows * tile_threads / threads_of(t);
  static constexpr int m = rows / 64, n = columns / 8;
  /// Instructions along a slice.
  static constexpr int steps = warpgroup_steps(t);
  /// Floats between neighbouring depths of the columns: pieces of 16 bytes of each.
  static constexpr int piece_apart = columns * 4;

  const int first_row = rows == t.rows ? 0 : warpgroup() * rows; ///< Of the warpgroup.

  /// The first of its warp's 16 rows in the i-th 64 of its warpgroup.
  int row(int i) const { return first_row + 64 * i + 16 * (warp() % 4); }

  /// Calls use(line, unit) for a thread's share of a slice's columns, in units of 8 depths of a
  /// line, from depth 8 unit on: `part` of `parts` of it.
  template <int parts, class Use> static void each_unit(int part, Use use) {
    constexpr int units = columns * (t.slice / 8), threads = threads_of(t);
    constexpr int turns = units / threads + (units % threads > 0);
#pragma unroll
    for (int turn = 0; turn < turns; ++turn) {
      const int i = turn * threads + lane();
      if (turn * parts / turns == part && (units % threads == 0 || i < units))
        use(i % columns, i / columns);
    }
  }
  /// Columns that were rounded, as a step takes them.
  static WarpgroupOperand rounded_operand(Shared<const float> rounded, int step) {
    return warpgroup_operand(rounded, piece_apart, 8 * 4, 16) + step * 2 * piece_apart;
  }
  static void store_words(Shared<float> to, int at, unsigned a, unsigned b, unsigned c,
                          unsigned d) {
    store4(to, at, {as_float(a), as_float(b), as_float(c), as_float(d)});
  }

  template <class Use> void visit_sums(const float (&sum)[m][n][4], Use use) const {
#pragma unroll
    for (int i = 0; i < m; ++i)
      visit_fragments<n>(sum[i], row(i) + warp_lane() / 4, warp_lane() % 4 * 2, use);
  }
};

/// A thread's part of a tile: of each 64 rows of its warpgroup its warp has 16, of all columns.
template <Tiling t> struct WarpgroupSums : WarpgroupTile<t> {
  using Tile = WarpgroupTile<t>;
  using Tile::m, Tile::n, Tile::steps, Tile::columns, Tile::math, Tile::first_row;

  static constexpr int products = steps; ///< Of a slice of columns that were rounded.

  float sum[m][n][4] = {};
  unsigned left[steps][m][4]; ///< Rows of the slice that is multiplied.
  WarpgroupQueue<t.taps * m * steps*(1 + slices_pending(t))> queue;

  /// Starts to add the products of a slice of operands in DirectLayouts: of the tile's rows from
  /// line `line` on and of columns from depth `k` on.
  template <class A, class B>
  void multiply_direct(Shared<const float> a, Shared<const float> b, int line = 0, int k = 0) {
    static_assert(A::by_depth == B::by_depth, "both operands are transposed, or none");
    static_assert(B::by_depth || columns % B::period == 0, "an instruction takes whole rows");
    constexpr int depth = warpgroup_depth(math);
    const WarpgroupOperand first_rows = A::operand(a, line + first_row),
                           first_columns = B::operand(b, 0);
#pragma unroll
    for (int step = 0; step < steps; ++step)
#pragma unroll
      for (int i = 0; i < m; ++i) {
        const WarpgroupOperand rows_from = first_rows + A::start(64 * i, step * depth);
        const WarpgroupOperand columns_from = first_columns + B::start(0, k + step * depth);
        if constexpr (math == Math::bf16)
          warpgroup_bf16<columns, !A::by_depth>(queue, sum[i], rows_from, columns_from);
        else
          warpgroup_tf32<columns>(queue, sum[i], rows_from, columns_from);
      }
  }

  /// Rounds the columns of a slice, 8 depths of a line at a time: `part` of `parts` of them. For
  /// rows of layout A.
  template <class A, class B, int parts>
  static void round_columns(Shared<const float> from, Shared<float> to, int part) {
    Tile::template each_unit<parts>(
        part, [&](int line, int unit) { round_unit<A, B>(from, to, line, unit); });
  }

  /// Brings the rows of a slice to registers.
  template <class A> void bring_rows(Shared<const float> from) {
#pragma unroll
    for (int step = 0; step < steps; ++step)
#pragma unroll
      for (int i = 0; i < m; ++i)
        load_rows<A>(from, this->row(i), step * (t.slice / steps), left[step][i]);
  }
  /// Starts to add a step's products with rows that were taken.
  void multiply(int step, WarpgroupOperand from) {
#pragma unroll
    for (int i = 0; i < m; ++i)
      if constexpr (math == Math::bf16)
        warpgroup_bf16<columns>(queue, sum[i], left[step][i], from);
      else
        warpgroup_tf32<columns>(queue, sum[i], left[step][i], from);
  }
  /// The same with columns that were rounded.
  void multiply_rounded(int step, Shared<const float> rounded) {
    multiply(step, Tile::rounded_operand(rounded, step));
  }
  /// What was started is complete.
  void commit() {
    warpgroup_commit(queue);
  }
  /// Waits for all that was committed but the newest `pending` times.
  template <int pending> void wait() {
    warpgroup_wait<pending>(queue, sum);
  }

  template <class Use> void visit(Use use) const {
    this->visit_sums(sum, use);
  }

private:
  using Tile::piece_apart, Tile::store_words;

  /// An element of a slice as a TF32 operand.
  template <class Layout> static unsigned tf32_word(float value) {
    return Layout::rounded ? as_bits(value) : tf32_operand(value);
  }

  /// Whether rows of bf16 are in shared memory already.
  template <class A> static constexpr bool holds_pairs = requires {
    A::piece;
  };

  /// An instruction's depths of bf16 come in pairs. Where they are rounded here, these are 4 apart,
  /// for both operands: so rows are loaded as for TF32.
  template <class A>
  static void load_rows(Shared<const float> from, int row, int k, unsigned (&left)[4]) {
    float low[4];
    A::block(from, row, k, low);
    if constexpr (math == Math::bf16 && holds_pairs<A>) {
      for (int i = 0; i < 4; ++i)
        left[i] = as_bits(low[i]);
    } else if constexpr (math == Math::bf16) {
      float high[4];
      A::block(from, row, k + 8, high);
      left[0] = pack_bf16(low[0], low[2]), left[1] = pack_bf16(low[1], low[3]);
      left[2] = pack_bf16(high[0], high[2]), left[3] = pack_bf16(high[1], high[3]);
    } else {
      for (int i = 0; i < 4; ++i)
        left[i] = tf32_word<A>(low[i]);
    }
  }

  /// Depths 8 unit to 8 unit + 7 of a line.
  template <class A, class B>
  static void round_unit(Shared<const float> from, Shared<float> to, int line, int unit) {
    float v[8];
    B::eight(from, line, 8 * unit, v);
    if constexpr (math == Math::bf16 && holds_pairs<A>) {
      store_words(to, unit * piece_apart + line * 4, pack_bf16(v[0], v[1]), pack_bf16(v[2], v[3]),
                  pack_bf16(v[4], v[5]), pack_bf16(v[6], v[7]));
    } else if constexpr (math == Math::bf16) {
      store_words(to, unit * piece_apart + line * 4, pack_bf16(v[0], v[4]), pack_bf16(v[1], v[5]),
                  pack_bf16(v[2], v[6]), pack_bf16(v[3], v[7]));
    } else {
      store_words(to, 2 * unit * piece_apart + line * 4, tf32_word<B>(v[0]), tf32_word<B>(v[1]),
                  tf32_word<B>(v[2]), tf32_word<B>(v[3]));
      store_words(to, (2 * unit + 1) * piece_apart + line * 4, tf32_word<B>(v[4]),
                  tf32_word<B>(v[5]), tf32_word<B>(v[6]), tf32_word<B>(v[7]));
    }
  }
};

} // namespace netc
