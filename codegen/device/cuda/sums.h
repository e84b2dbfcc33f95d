#pragma once
// A thread's part of a tile of sums, and what a slice adds to it: by f32 multiply-adds, or by the
// matrix instructions of the thread's warp.

#include "codegen/device/cuda/slice.h"

namespace netc {

/// f32. A thread has every 8th row and every 16th column of the tile. Each sum is in the order of
/// the depth.
template <int rows, int columns> struct FmaSums {
  static constexpr int down = tile_threads / 16, across = 16; ///< The threads as a grid.
  static constexpr int m = rows / down, n = columns / across;
  float sum[m][n] = {};

  template <class A, class B> void add(Shared<const float> a, Shared<const float> b) {
    const int row = lane() / across, column = lane() % across;
    for (int k = 0; k < usual_slice; ++k) {
      float left[m], right[n];
      for (int i = 0; i < m; ++i)
        left[i] = a[A::at(row + down * i, k)];
      for (int j = 0; j < n; ++j)
        right[j] = b[B::at(column + across * j, k)];
      for (int i = 0; i < m; ++i)
        for (int j = 0; j < n; ++j)
          sum[i][j] += left[i] * right[j];
    }
  }

  FmaSums operator+(const FmaSums& other) const {
    FmaSums result;
    for (int i = 0; i < m; ++i)
      for (int j = 0; j < n; ++j)
        result.sum[i][j] = sum[i][j] + other.sum[i][j];
    return result;
  }

  /// Calls use(row, column, count, values) for runs of consecutive columns.
  template <class Use> void visit(Use use) const {
#pragma unroll
    for (int i = 0; i < m; ++i)
#pragma unroll
      for (int j = 0; j < n; ++j) {
        float value[1] = {sum[i][j]};
        use(lane() / across + down * i, lane() % across + across * j, 1, value);
      }
  }
};

/// The two registers of a line at depth k on. Which depths an instruction takes for which of its
/// own is free as long as both operands agree: a TF32 instruction's t and t + 4 are 2t and 2t + 1
/// here, so that one load brings both.
template <class Layout, Math math>
void load_line(Shared<const float> slice, int line, int k, unsigned& first, unsigned& second,
               unsigned& first_rest, unsigned& second_rest) {
  const int t = warp_lane() % 4 * 2;
  const Float2 low = Layout::pair(slice, line, k + t);
  if constexpr (math == Math::bf16) {
    const Float2 high = Layout::pair(slice, line, k + 8 + t);
    first = pack_bf16(low.x, low.y);
    second = pack_bf16(high.x, high.y);
  } else if constexpr (math == Math::tf32) {
    first = tf32_operand(low.x);
    second = tf32_operand(low.y);
  } else {
    first = to_tf32(low.x);
    second = to_tf32(low.y);
    first_rest = to_tf32(low.x - as_float(first));
    second_rest = to_tf32(low.y - as_float(second));
  }
}

/// The four registers of 16 rows, of which `row` is this thread's first. `rest`: what rounding
/// left, where the precision multiplies it.
template <class Layout, Math math>
void load_rows(Shared<const float> slice, int row, int k, unsigned (&left)[4],
               unsigned (&rest)[4]) {
  load_line<Layout, math>(slice, row, k, left[0], left[2], rest[0], rest[2]);
  load_line<Layout, math>(slice, row + 8, k, left[1], left[3], rest[1], rest[3]);
}

/// Calls use(row, column, 2, values) for a thread's part of 16 rows by n x 8 columns of sums, which
/// begins at `row` and `column`.
template <int n, class Use>
void visit_fragments(const float (&sum)[n][4], int row, int column, Use use) {
#pragma unroll
  for (int j = 0; j < n; ++j)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float values[2] = {sum[j][2 * half], sum[j][2 * half + 1]};
      use(row + 8 * half, column + 8 * j, 2, values);
    }
}

/// Tensor cores. The warps form a grid over the tile, each has m x n instruction tiles of 16 rows
/// and 8 columns.
template <int rows, int columns, Math math> struct MmaSums {
  static constexpr int warp_rows = 2;
  static constexpr int warp_columns = tile_threads / 32 / warp_rows;
  static constexpr int m = rows / warp_rows / 16, n = columns / warp_columns / 8;
  /// Depth of one instruction.
  static constexpr int depth = math == Math::bf16 ? 16 : 8;
  /// Steps of a slice that are written out; there are no registers for the operands of two where an
  /// operand has two parts.
  static constexpr int unrolled = math == Math::x3tf32 ? 1 : usual_slice / depth;
  float sum[m][n][4] = {};

  template <class A, class B> void add(Shared<const float> a, Shared<const float> b) {
#pragma unroll unrolled
    for (int k = 0; k < usual_slice; k += depth) {
      unsigned left[4], right[n][2];
      unsigned left_rest[4], right_rest[math == Math::x3tf32 ? n : 1][2]; // what rounding left
#pragma unroll
      for (int j = 0; j < n; ++j) {
        unsigned(&rest)[2] = right_rest[math == Math::x3tf32 ? j : 0];
        load_line<B, math>(b, first_column() + 8 * j, k, right[j][0], right[j][1], rest[0],
                           rest[1]);
      }
#pragma unroll
      for (int i = 0; i < m; ++i) {
        load_rows<A, math>(a, first_row() + 16 * i, k, left, left_rest);
#pragma unroll
        for (int j = 0; j < n; ++j) {
          if constexpr (math == Math::bf16) {
            mma_bf16(sum[i][j], left, right[j]);
          } else if constexpr (math == Math::tf32) {
            mma_tf32(sum[i][j], left, right[j]);
          } else { // small products first; matrix units add less exactly than f32 does
            float part[4] = {};
            mma_tf32(part, left_rest, right[j]);
            mma_tf32(part, left, right_rest[j]);
            mma_tf32(part, left, right[j]);
            for (int r = 0; r < 4; ++r)
              sum[i][j][r] += part[r];
          }
        }
      }
    }
  }

  template <class Use> void visit(Use use) const {
    const int column = warp() % warp_columns * (columns / warp_columns) + warp_lane() % 4 * 2;
#pragma unroll
    for (int i = 0; i < m; ++i)
      visit_fragments<n>(sum[i], first_row() + 16 * i, column, use);
  }

private:
  static int first_row() {
    return warp() / warp_columns * (rows / warp_rows) + warp_lane() / 4;
  }
  static int first_column() {
    return warp() % warp_columns * (columns / warp_columns) + warp_lane() / 4;
  }
};

} // namespace netc
