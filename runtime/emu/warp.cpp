#include "runtime/emu/warp.h"

#include <algorithm>
#include <bit>

namespace netc {

namespace {

using Operands = void* const (&)[warp_size];

template <class Source> void shuffle(Operands operands, Source source) {
  unsigned values[warp_size];
  for (int lane = 0; lane < warp_size; ++lane)
    values[lane] = static_cast<emu::Shuffle*>(operands[lane])->value;
  for (int lane = 0; lane < warp_size; ++lane) {
    auto& own = *static_cast<emu::Shuffle*>(operands[lane]);
    const int from = source(lane, own.selector);
    own.value = values[from >= 0 && from < warp_size ? from : lane];
  }
}

/// The lanes' part of m16n8: rows `row` and row + 8, columns `column` and column + 1 of the result;
/// along the depth, the quarter whose number is lane % 4.
struct LanePart {
  int row, quarter;
  explicit LanePart(int lane) : row(lane / 4), quarter(lane % 4) {}
};

constexpr int rows = 16, columns = 8;

/// Adds the product of whole matrices to the fragments of d. The products of a tensor core are
/// exact and its sum is kept longer than a float's; a double holds both.
template <int depth>
void multiply(Operands operands, const double (&a)[rows][depth],
              const double (&b)[depth][columns]) {
  double sums[rows][columns];
  for (int row = 0; row < rows; ++row) {
    double sum[columns] = {};
    for (int k = 0; k < depth; ++k)
      for (int column = 0; column < columns; ++column)
        sum[column] += a[row][k] * b[k][column];
    std::copy_n(sum, columns, sums[row]);
  }
  for (int lane = 0; lane < warp_size; ++lane) {
    const LanePart part(lane);
    float* d = static_cast<emu::MatrixProduct*>(operands[lane])->d;
    for (int i = 0; i < 4; ++i)
      d[i] = static_cast<float>(d[i] + sums[part.row + i / 2 * 8][part.quarter * 2 + i % 2]);
  }
}

/// The hardware takes the upper 19 bits of a word.
float tf32(unsigned word) {
  return std::bit_cast<float>(word & ~0x1fffU);
}
float bf16(unsigned half) {
  return std::bit_cast<float>(half << 16);
}

void mma_tf32(Operands operands) {
  double a[rows][8], b[8][columns];
  for (int lane = 0; lane < warp_size; ++lane) {
    const LanePart part(lane);
    const auto& own = *static_cast<emu::MatrixProduct*>(operands[lane]);
    for (int i = 0; i < 4; ++i)
      a[part.row + i % 2 * 8][part.quarter + i / 2 * 4] = tf32(own.a[i]);
    for (int i = 0; i < 2; ++i)
      b[part.quarter + i * 4][part.row] = tf32(own.b[i]);
  }
  multiply(operands, a, b);
}

void mma_bf16(Operands operands) {
  double a[rows][16], b[16][columns];
  for (int lane = 0; lane < warp_size; ++lane) {
    const LanePart part(lane);
    const auto& own = *static_cast<emu::MatrixProduct*>(operands[lane]);
    for (int half = 0; half < 2; ++half) {
      for (int i = 0; i < 4; ++i)
        a[part.row + i % 2 * 8][part.quarter * 2 + i / 2 * 8 + half] =
            bf16(own.a[i] >> 16 * half & 0xffff);
      for (int i = 0; i < 2; ++i)
        b[part.quarter * 2 + i * 8 + half][part.row] = bf16(own.b[i] >> 16 * half & 0xffff);
    }
  }
  multiply(operands, a, b);
}

} // namespace

void warp_operation(emu::WarpOperation what, void* const (&operands)[warp_size]) {
  switch (what) {
  case emu::WarpOperation::barrier:
    return;
  case emu::WarpOperation::shuffle:
    return shuffle(operands, [](int, int selector) { return selector & (warp_size - 1); });
  case emu::WarpOperation::shuffle_xor:
    return shuffle(operands, [](int lane, int selector) { return lane ^ selector; });
  case emu::WarpOperation::mma_tf32:
    return mma_tf32(operands);
  case emu::WarpOperation::mma_bf16:
    return mma_bf16(operands);
  }
}

} // namespace netc
