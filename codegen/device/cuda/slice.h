#pragma once
// Slices of a product's operands in shared memory: how they lie, how a block brings them in.
//
// An operand is a matrix [extent][depth] whose elements are found by their indices, never laid out:
// operand.line(row) gives what depends on the row alone; operand.step<depth>(leaf, k0, own) what
// depends on the depth k0 + own alone, `own` being a thread's part of a slice from k0 on that is
// `depth` deep; operand.exists(line, step) whether memory holds the element (else it is zero); and
// operand.from(step) and operand.index(line, step) a pointer and the element's index from there. So
// what is left to do for each element is little: copies, not products, are what a warp's
// instructions go to. Lines that are all `apart` elements apart need not even be told apart.

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
  static_assert(sizeof(T) == sizeof(float), "elements are moved as floats");
  /// Products of TF32 can take the elements as they are.
  static constexpr bool rounded = is_same<T, Tf32>;
  static constexpr int stride = slice_stride(extent, depth, by_depth, pad);
  static constexpr int floats = slice_floats(extent, depth, by_depth, pad);
  static constexpr int at(int line, int k) {
    return by_depth ? line * stride + k : k * stride + line;
  }
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
  static constexpr int at(int line, int k) {
    return by_depth ? k / piece * strides.along_depth + line * 4
                    : line / 8 * strides.along_lines + k * 4;
  }
  /// Lines from `line` on, a multiple of 8, from the first depth on; behind it by at(l, k), the
  /// same from l lines and k depths further, with which an instruction may begin.
  static WarpgroupOperand operand(Shared<const float> slice, int line) {
    return warpgroup_operand(slice + at(line, 0), strides.along_depth, strides.along_lines);
  }
  /// Of 16 lines and 2 pieces along the depth, the part of a warp's thread: see load_matrices.
  static void block(Shared<const float> slice, int line, int k, float (&values)[4]) {
    static_assert(by_depth, "rows of 16 bytes are depths of a line");
    load_matrices(slice, at(line, k), 4, strides.along_depth, values);
  }
};

/// Whether the lines of every tile of `extent` exist and are evenly apart.
template <class Operand, int extent> constexpr bool are_even = false;
template <class Operand, int extent>
requires(Operand::lines % extent == 0) constexpr bool are_even<Operand, extent> = Operand::apart >
                                                                                  0;

/// What one thread brings of each slice: runs of `run` elements that are neighbours in memory, of
/// the same lines in every slice. `threads`: of the block; `whole`: no slice reaches beyond the
/// depth of its leaf.
template <class Operand, class Layout, int threads, bool whole> class SliceLoader {
public:
  /// `first`: the tile's first line.
  SliceLoader(const Operand& operand, int first) : operand_(operand) {
    for (int i = 0; i < (even ? 1 : count); ++i)
      lines_[i] = operand.line(first + first_line() + i * lines_apart);
  }

  /// Starts the copies of depths k0 .. k0 + Layout::depth - 1 of a leaf that is `depth` deep.
  void load(Shared<float> slice, int leaf, int k0, int depth) const {
    const Shared<float> own = slice + Layout::at(first_line(), first_depth());
    unrolled<0, Layout::depth / depths_apart>([&](auto pass) {
      constexpr int behind = decltype(pass)::value * depths_apart;
      const int k = first_depth() + behind;
      const bool inside = whole || k0 + k < depth;
      const auto step = inside ? operand_.template step<Layout::depth>(leaf, k0, k)
                               : operand_.template step<Layout::depth>(leaf, 0, 0);
      const auto from = operand_.from(step);
      unrolled<0, count>([&](auto i) {
        constexpr int line = decltype(i)::value;
        constexpr int to = Layout::at(line * lines_apart, behind);
        if constexpr (even)
          copy_async<run, to, line * lines_apart * Operand::apart, Operand::kept>(
              own, from, operand_.index(lines_[0], step), inside);
        else
          copy_async<run, to, 0, Operand::kept>(own, from, operand_.index(lines_[line], step),
                                                inside && operand_.exists(lines_[line], step));
      });
    });
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
  static_assert(
      !requires { Layout::piece; } || run * sizeof(typename Operand::Element) == piece_bytes,
      "a piece is copied at once");
  static_assert(count * lines_apart == Layout::extent && Layout::depth % depths_apart == 0,
                "the threads share a slice evenly");

  static int first_depth() { return Layout::by_depth ? lane() % sharing * run : lane() / sharing; }
  static int first_line() { return Layout::by_depth ? lane() / sharing : lane() % sharing * run; }

  /// Whether the lines of each tile all exist, evenly apart.
  static constexpr bool even = are_even<Operand, Layout::extent>;

  const Operand& operand_;
  typename Operand::Line lines_[even ? 1 : count];
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
