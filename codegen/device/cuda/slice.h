#pragma once
// Slices of a product's operands in shared memory: how they lie, how a block brings them in.
//
// An operand is a matrix [extent][depth] whose elements are found by their indices, never laid out:
// operand.line(row) gives what depends on the row alone, operand.step(leaf, k) what depends on the
// depth, operand.exists(line, step) whether memory holds the element (else it is zero), and
// operand.index(line, step) where.

#include "codegen/device/cuda/kernel.h"
#include "codegen/device/cuda/tiling.h"
#ifdef __CUDACC__
#include "codegen/device/cuda/hardware_warpgroup.h"
#else
#include "codegen/device/emu/warpgroup.h"
#endif

namespace netc {

/// `extent` lines of an operand, `depth` deep. `pad`: see slice_stride; `T`: elements, of 4 bytes.
template <int extent_, int depth_, bool by_depth_, int pad, class T> struct SliceLayout {
  static constexpr int extent = extent_, depth = depth_;
  static constexpr bool by_depth = by_depth_;
  /// Products of TF32 can take the elements as they are.
  static constexpr bool rounded = is_same<T, Tf32>;
  static constexpr int stride = slice_stride(extent, depth, by_depth, pad);
  static constexpr int floats = slice_floats(extent, depth, by_depth, pad);
  static int at(int line, int k) { return by_depth ? line * stride + k : k * stride + line; }
  /// Depths k and k + 1, k even, of a line.
  static Float2 pair(Shared<const float> slice, int line, int k) {
    if constexpr (by_depth)
      return load2(slice, at(line, k));
    else
      return {slice[at(line, k)], slice[at(line, k + 1)]};
  }
  /// Of 16 lines from `line` and 8 depths from k on, the part of a warp's thread: lines lane / 4,
  /// lane / 4 + 8, the same again, at depths lane % 4, lane % 4, and 4 more of each.
  static void block(Shared<const float> slice, int line, int k, float (&values)[4]) {
    if constexpr (by_depth) {
      load_matrices(slice, at(line, k), stride, 4, values);
    } else {
      line += warp_lane() / 4, k += warp_lane() % 4;
      for (int i = 0; i < 4; ++i)
        values[i] = slice[at(line + i % 2 * 8, k + i / 2 * 4)];
    }
  }
  /// Depths k to k + 7, k a multiple of 8, of a line.
  static void eight(Shared<const float> slice, int line, int k, float (&values)[8]) {
    if constexpr (by_depth) {
      const Float4 low = load4(slice, at(line, k)), high = load4(slice, at(line, k + 4));
      values[0] = low.x, values[1] = low.y, values[2] = low.z, values[3] = low.w;
      values[4] = high.x, values[5] = high.y, values[6] = high.z, values[7] = high.w;
    } else {
      for (int i = 0; i < 8; ++i)
        values[i] = slice[at(line, k + i)];
    }
  }
};

/// The same as the instructions of a warpgroup take them (direct_strides); `T`: elements.
template <int extent_, int depth_, bool by_depth_, class T> struct DirectLayout {
  static constexpr int extent = extent_, depth = depth_;
  static constexpr bool by_depth = by_depth_;
  static constexpr int piece = piece_bytes / static_cast<int>(sizeof(T));
  static constexpr DirectStrides strides = direct_strides(extent, depth, by_depth, sizeof(T));
  static constexpr int floats = strides.floats;
  /// Where a piece begins; its first line and depth.
  static int at(int line, int k) {
    return by_depth ? k / piece * strides.along_depth + line * 4
                    : line / 8 * strides.along_lines + k * 4;
  }
  /// Lines from `line` on, a multiple of 8, from depth k on, which an instruction begins with.
  static WarpgroupOperand operand(Shared<const float> slice, int line, int k) {
    return warpgroup_operand(slice + at(line, k), strides.along_depth, strides.along_lines);
  }
  /// Of 16 lines and 2 pieces along the depth, the part of a warp's thread: see load_matrices.
  static void block(Shared<const float> slice, int line, int k, float (&values)[4]) {
    static_assert(by_depth, "rows of 16 bytes are depths of a line");
    load_matrices(slice, at(line, k), 4, strides.along_depth, values);
  }
};

/// What one thread brings of each slice: runs of `run` elements that are neighbours in memory, of
/// the same lines in every slice. `threads`: of the block.
template <class Operand, class Layout, int threads> class SliceLoader {
public:
  /// `first`: the tile's first line.
  SliceLoader(const Operand& operand, int first) : operand_(operand) {
    for (int i = 0; i < count; ++i)
      lines_[i] = operand.line(first + line_of(i));
  }

  /// Starts the copies of depths k0 .. k0 + Layout::depth - 1 of a leaf that is `depth` deep.
  void load(Shared<float> slice, int leaf, int k0, int depth) const {
#pragma unroll
    for (int pass = 0; pass < Layout::depth / depths_apart; ++pass) {
      const int k = first_depth() + pass * depths_apart;
      const bool inside = k0 + k < depth;
      const auto step = operand_.step(leaf, inside ? k0 + k : 0);
      for (int i = 0; i < count; ++i)
        copy_async<run, Operand::kept>(slice, Layout::at(line_of(i), k), operand_.data,
                                       operand_.index(lines_[i], step),
                                       inside && operand_.exists(lines_[i], step));
    }
  }

private:
  static constexpr int run = Operand::run;
  /// Threads that share a line (by_depth), or a depth: so a thread finds where its depths lie once
  /// for all of its lines.
  static constexpr int sharing =
      Layout::by_depth ? Layout::depth / run : sharing_lines(Layout::extent, run);
  static constexpr int lines_apart = Layout::by_depth ? threads / sharing : sharing * run;
  static constexpr int depths_apart = Layout::by_depth ? Layout::depth : threads / sharing;
  static constexpr int count = Layout::extent / lines_apart;
  static_assert(count * lines_apart == Layout::extent && Layout::depth % depths_apart == 0,
                "the threads share a slice evenly");

  static int first_depth() {
    return Layout::by_depth ? lane() % sharing * run : lane() / sharing;
  }
  static int line_of(int i) {
    return (Layout::by_depth ? lane() / sharing : lane() % sharing * run) + i * lines_apart;
  }

  const Operand& operand_;
  typename Operand::Line lines_[count];
};

/// How many elements of `bytes` are copied at once, up to 16 bytes of them, where so many must
/// divide both a and b.
constexpr int common_run(long a, long b, int bytes) {
  int run = piece_bytes / bytes;
  while (a % run != 0 || b % run != 0)
    run /= 2;
  return run;
}

} // namespace netc
