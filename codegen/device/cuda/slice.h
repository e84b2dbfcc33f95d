#pragma once
// Slices of a product's operands in shared memory: how they lie, how a block brings them in.
//
// An operand is a matrix [extent][depth] whose elements are found by their indices, never laid out:
// operand.line(row) gives what depends on the row alone, operand.step(leaf, k) what depends on the
// depth, operand.exists(line, step) whether memory holds the element (else it is zero), and
// operand.index(line, step) where.

#include "codegen/device/cuda/kernel.h"
#include "codegen/device/cuda/tiling.h"

namespace netc {

/// `extent` lines of an operand, `slice_depth` deep.
template <int extent_, bool by_depth_, Math math> struct SliceLayout {
  static constexpr int extent = extent_;
  static constexpr bool by_depth = by_depth_;
  static constexpr int stride = slice_stride(extent, by_depth, math);
  static constexpr int floats = slice_floats(extent, by_depth, math);
  static int at(int line, int k) { return by_depth ? line * stride + k : k * stride + line; }
  /// Depths k and k + 1, k even, of a line.
  static Float2 pair(Shared<const float> slice, int line, int k) {
    if constexpr (by_depth)
      return load2(slice, at(line, k));
    else
      return {slice[at(line, k)], slice[at(line, k + 1)]};
  }
};

/// What one thread brings of each slice: `count` runs of `run` floats that are neighbours in
/// memory, of the same lines in every slice.
template <class Operand, class Layout> class SliceLoader {
public:
  /// `first`: the tile's first line.
  SliceLoader(const Operand& operand, int first) : operand_(operand) {
    for (int i = 0; i < count; ++i)
      lines_[i] = operand.line(first + line_of(i));
  }

  /// Starts the copies of depths k0 .. k0 + slice_depth - 1 of a leaf that is `depth` deep.
  void load(Shared<float> slice, int leaf, int k0, int depth) const {
    if constexpr (Layout::by_depth) {
      const int k = lane() % (slice_depth / run) * run;
      const bool inside = k0 + k < depth;
      const auto step = operand_.step(leaf, inside ? k0 + k : 0);
      for (int i = 0; i < count; ++i)
        copy(slice, Layout::at(line_of(i), k), inside, lines_[i], step);
    } else {
      for (int i = 0; i < count; ++i) {
        const int k = (lane() + i * tile_threads) / (Layout::extent / run);
        const bool inside = k0 + k < depth;
        const auto step = operand_.step(leaf, inside ? k0 + k : 0);
        copy(slice, Layout::at(line_of(i), k), inside, lines_[i], step);
      }
    }
  }

private:
  static constexpr int run = Operand::run;
  static constexpr int count = Layout::extent * slice_depth / run / tile_threads;
  static_assert(count * run * tile_threads == Layout::extent * slice_depth,
                "the threads share a slice evenly");

  static int line_of(int i) {
    if constexpr (Layout::by_depth)
      return (lane() + i * tile_threads) / (slice_depth / run);
    else if constexpr (tile_threads % (Layout::extent / run) == 0)
      return lane() % (Layout::extent / run) * run; // whatever i is
    else
      return (lane() + i * tile_threads) % (Layout::extent / run) * run;
  }
  template <class Step>
  void copy(Shared<float> slice, int at, bool inside, const typename Operand::Line& line,
            const Step& step) const {
    copy_async<run>(slice, at, operand_.data, operand_.index(line, step),
                    inside && operand_.exists(line, step));
  }

  const Operand& operand_;
  typename Operand::Line lines_[count];
};

/// The largest number of floats, up to 4, that divides both.
constexpr int common_run(long a, long b) {
  return a % 4 == 0 && b % 4 == 0 ? 4 : a % 2 == 0 && b % 2 == 0 ? 2 : 1;
}

} // namespace netc
