#pragma once
// Sums by the matrix instructions of a warpgroup, which take the rows from registers and the
// columns from shared memory. What copies bring is f32; a pass of its own rounds the columns of a
// slice and lays them out for the instructions while the slice before is multiplied. Rows are
// rounded on their way to registers.

#include "codegen/device/cuda/sums.h"
#ifdef __CUDACC__
#include "codegen/device/cuda/hardware_warpgroup.h"
#else
#include "codegen/device/emu/warpgroup.h"
#endif

namespace netc {

/// A thread's part of a tile: of each 64 rows its warp has 16, of all columns.
template <int rows, int columns, int slice, Math math> struct WarpgroupSums {
  static constexpr int m = rows / 64, n = columns / 8;
  /// Instructions along a slice.
  static constexpr int steps = slice / (math == Math::bf16 ? 16 : 8);
  /// Floats between neighbouring depths of the columns: pieces of 16 bytes of each.
  static constexpr int leading = columns * 4;

  float sum[m][n][4] = {};
  unsigned left[steps][m][4]; ///< Rows of the slice that is multiplied.
  WarpgroupQueue<m * steps> queue;

  /// Rounds the columns of a slice, 8 depths of a line at a time: `part` of `parts` of them.
  template <class B, int parts>
  static void round_columns(Shared<const float> from, Shared<float> to, int part) {
    constexpr int units = columns * (slice / 8);
    constexpr int turns = units / tile_threads + (units % tile_threads > 0);
#pragma unroll
    for (int turn = 0; turn < turns; ++turn) {
      const int i = turn * tile_threads + lane();
      if (turn * parts / turns == part && (units % tile_threads == 0 || i < units))
        round_unit<B>(from, to, i % columns, i / columns);
    }
  }

  /// Brings the rows of a slice to registers.
  template <class A> void take_rows(Shared<const float> from) {
#pragma unroll
    for (int step = 0; step < steps; ++step)
#pragma unroll
      for (int i = 0; i < m; ++i)
        load_rows<A>(from, 64 * i + 16 * warp(), step * (slice / steps), left[step][i]);
  }
  /// Starts to add a step's products with columns that were rounded.
  void multiply(int step, Shared<const float> rounded) {
    const Shared<const float> from = rounded + step * 2 * leading;
#pragma unroll
    for (int i = 0; i < m; ++i)
      if constexpr (math == Math::bf16)
        warpgroup_bf16<columns>(queue, sum[i], left[step][i], from, leading);
      else
        warpgroup_tf32<columns>(queue, sum[i], left[step][i], from, leading);
  }
  /// What was started is complete.
  void commit() {
    warpgroup_commit(queue);
  }
  /// Waits for all that was committed.
  void wait() {
    warpgroup_wait(queue, sum);
  }

  template <class Use> void visit(Use use) const {
#pragma unroll
    for (int i = 0; i < m; ++i)
      visit_fragments<n>(sum[i], 64 * i + 16 * warp() + warp_lane() / 4, warp_lane() % 4 * 2, use);
  }

private:
  /// An instruction's depths of bf16 come in pairs, which are 4 apart here, for both operands: so
  /// rows are loaded as for TF32.
  template <class A>
  static void load_rows(Shared<const float> from, int row, int k, unsigned (&left)[4]) {
    float low[4];
    A::block(from, row, k, low);
    if constexpr (math == Math::bf16) {
      float high[4];
      A::block(from, row, k + 8, high);
      left[0] = pack_bf16(low[0], low[2]), left[1] = pack_bf16(low[1], low[3]);
      left[2] = pack_bf16(high[0], high[2]), left[3] = pack_bf16(high[1], high[3]);
    } else {
      for (int i = 0; i < 4; ++i)
        left[i] = tf32_operand(low[i]);
    }
  }

  /// Depths 8 unit to 8 unit + 7 of a line.
  template <class B>
  static void round_unit(Shared<const float> from, Shared<float> to, int line, int unit) {
    float v[8];
    B::eight(from, line, 8 * unit, v);
    if constexpr (math == Math::bf16) {
      store_words(to, unit * leading + line * 4, pack_bf16(v[0], v[4]), pack_bf16(v[1], v[5]),
                  pack_bf16(v[2], v[6]), pack_bf16(v[3], v[7]));
    } else {
      store_words(to, 2 * unit * leading + line * 4, tf32_operand(v[0]), tf32_operand(v[1]),
                  tf32_operand(v[2]), tf32_operand(v[3]));
      store_words(to, (2 * unit + 1) * leading + line * 4, tf32_operand(v[4]), tf32_operand(v[5]),
                  tf32_operand(v[6]), tf32_operand(v[7]));
    }
  }
  static void store_words(Shared<float> to, int at, unsigned a, unsigned b, unsigned c,
                          unsigned d) {
    store4(to, at, {as_float(a), as_float(b), as_float(c), as_float(d)});
  }
};

} // namespace netc
