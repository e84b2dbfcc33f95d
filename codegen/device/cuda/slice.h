#pragma once
// Slices of a product's operands in shared memory: how they lie, how a block brings them in.
//
// An operand is a matrix [extent][depth] whose elements are found by their indices, never laid out:
// operand.line(row) gives what depends on the row alone; operand.step<depth>(leaf, k0, own) what
// depends on the depth k0 + own alone, `own` being a thread's part of a slice from k0 on that is
// `depth` deep; operand.exists(line, step) whether memory holds the element (else it is zero); and
// operand.from(step) and operand.index(line, step) a pointer and the element's index from there. So
// what is left to do for each element is little: copies, not products, are what a warp's
// instructions go to. Lines that are all `apart` elements apart need not even be told apart. Lines
// from operand.ones on, if it has_ones, are of ones, and in no memory.

#include "codegen/device/cuda/kernel.h"
#include "codegen/device/cuda/tiling.h"
#ifdef __CUDACC__
#include "codegen/device/cuda/hardware_warpgroup.h"
#else
#include "codegen/device/emu/warpgroup.h"
#endif

namespace netc {

/// Where byte `at` of a slice is, which lies in rows of so many bytes (DirectRows): the places of
/// a row's pieces are exchanged by the number of its 128 bytes.
constexpr int swizzled(int at, int row_bytes) {
  return at ^ (at >> 7 & (row_bytes / 16 - 1)) << 4;
}

/// `extent` lines of an operand, `depth` deep. `pad`: see slice_stride; `T`: elements, of 4 bytes.
template <int extent_, int depth_, bool by_depth_, int pad, class T> struct SliceLayout {
  static constexpr int extent = extent_, depth = depth_;
  static constexpr bool by_depth = by_depth_;
  static_assert(sizeof(T) == sizeof(float), "elements are moved as floats");
  /// Products of TF32 can take the elements as they are.
  static constexpr bool rounded = is_same<T, Tf32>;
  static constexpr int stride = slice_stride(extent, depth, by_depth, pad);
  static constexpr int floats = slice_floats(extent, depth, by_depth, pad);
  static constexpr bool is_swizzled = by_depth && pad == 0;
  static_assert(!is_swizzled || stride == 32 || stride == 16, "rows have 128 or 64 bytes");
  /// Lines after which a swizzle repeats.
  static constexpr int period = is_swizzled ? 8 : 1;
  static constexpr int at(int line, int k) {
    const int place = by_depth ? line * stride + k : k * stride + line;
    return is_swizzled ? swizzled(4 * place, 4 * stride) / 4 : place;
  }
  /// Floats from a line to the one `lines` behind, a multiple of the period.
  static constexpr int lines_behind(int lines) { return by_depth ? lines * stride : lines; }
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
      load_matrices(slice, values,
                    [&](int row, int piece) { return at(line + row, k + 4 * piece); });
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

/// The same as the instructions of a warpgroup take them (DirectRows); `T`: elements. Operands
/// whose depths are no neighbours in memory are turned by the copies, if so wanted.
template <int extent_, int depth_, bool by_depth_, class T> struct DirectLayout {
  static constexpr int extent = extent_, depth = depth_;
  static constexpr bool by_depth = by_depth_;
  static constexpr int size = sizeof(T), piece = piece_bytes / size;
  static constexpr DirectRows rows = direct_rows(extent, depth, by_depth, size);
  static constexpr int floats = rows.floats;
  static_assert((by_depth ? depth : extent) * size % 32 == 0 && (by_depth || depth % 8 == 0),
                "rows are whole, and instructions take 8 at a time");
  static constexpr int period = by_depth ? 8 : rows.bytes / size;

  /// Where a piece begins, by its first line and depth; of elements of 4 bytes, any element.
  static constexpr int at(int line, int k) { return swizzled(4 * start(line, k), rows.bytes) / 4; }
  /// As of SliceLayout.
  static constexpr int lines_behind(int lines) { return start(lines, 0); }
  /// Floats from the first element to where one would be, were there no swizzle: instructions
  /// compute addresses so, and then swizzle them.
  static constexpr int start(int line, int k) {
    const int row = by_depth ? line : k, along = (by_depth ? k : line) * size;
    return along / rows.bytes * rows.block + (row * rows.bytes + along % rows.bytes) / 4;
  }
  /// Lines from `line` on, by_depth any, else a multiple of what a row holds, from the first depth
  /// on; behind it by start(l, k), the same from l lines and k depths further, with which an
  /// instruction may begin.
  static WarpgroupOperand operand(Shared<const float> slice, int line) {
    return warpgroup_operand(slice + start(line, 0), by_depth ? 0 : rows.block, 2 * rows.bytes,
                             rows.bytes);
  }
  /// Of 16 lines and 2 pieces along the depth, the part of a warp's thread: see load_matrices.
  static void block(Shared<const float> slice, int line, int k, float (&values)[4]) {
    static_assert(by_depth, "rows of 16 bytes are depths of a line");
    load_matrices(slice, values,
                  [&](int row, int number) { return at(line + row, k + number * piece); });
  }
};

/// Whether the lines of every tile of `extent` exist, evenly apart, and so near to one another that
/// instructions can hold the distance in bytes.
template <class Operand, int extent> constexpr bool evenly_apart = false;
template <class Operand, int extent>
requires(Operand::lines % extent == 0) constexpr bool evenly_apart<Operand, extent> =
    long(extent) * Operand::apart * long(sizeof(typename Operand::Element)) < 1L << 31;

/// Whether lines of an operand are of ones.
template <class Operand> constexpr bool has_ones = false;
template <class Operand>
requires requires {
  Operand::has_ones;
}
constexpr bool has_ones<Operand> = Operand::has_ones;

/// The part of a slice that a thread brings: runs of `run` elements that are neighbours in memory,
/// at a line and a depth and so far behind them. Depths are neighbours: threads next to one another
/// share a line.
template <class Operand, class Layout, int threads> struct ThreadShare {
  static constexpr int run = Operand::run, sharing = Layout::depth / run;
  static constexpr int lines_apart = threads / sharing, depths_apart = Layout::depth;
  static int line() { return lane() / sharing; }
  static int depth() { return lane() % sharing * run; }
};
/// Lines are: threads share a depth, so that each finds where its depths lie once for all of its
/// lines.
template <class Operand, class Layout, int threads>
requires(!Layout::by_depth) struct ThreadShare<Operand, Layout, threads> {
  static constexpr int run = Operand::run, sharing = sharing_lines(Layout::extent, run);
  static constexpr int lines_apart = sharing * run, depths_apart = threads / sharing;
  static int line() { return lane() % sharing * run; }
  static int depth() { return lane() / sharing; }
};
/// Lines are neighbours in memory, depths in the slice: copies of single elements turn it. A warp
/// brings 4 depths of 8 lines: a piece of each of 8 rows, in all banks.
template <class Operand, class Layout, int threads>
requires(Layout::by_depth && !Operand::by_depth) struct ThreadShare<Operand, Layout, threads> {
  static_assert(sizeof(typename Operand::Element) == 4, "copies move 4 bytes at least");
  static constexpr int run = 1, lines_apart = 8, depths_apart = threads / 8;
  static int line() { return warp_lane() / 4; }
  static int depth() { return warp() * 4 + warp_lane() % 4; }
};

/// What one thread brings of each slice, of the same lines in every one. `threads`: of the block;
/// `whole`: no slice reaches beyond the depth of its leaf.
template <class Operand, class Layout, int threads, bool whole> class SliceLoader {
public:
  /// `first`: the tile's first line.
  SliceLoader(const Operand& operand, int first)
      : operand_(operand), first_(first + Share::line()) {
    for (int i = 0; i < (even ? 1 : count); ++i)
      lines_[i] = operand.line(first + Share::line() + i * lines_apart);
  }

  /// Sets the lines of ones where slices will be, which copies leave as they are: once for all
  /// slices in a place. All words of a one are alike in pairs of bf16, too.
  void set_ones(Shared<float> slice) const {
    static_assert(run * sizeof(Element) % sizeof(float) == 0, "ones are set by words");
    constexpr int words = run * int(sizeof(Element)) / int(sizeof(float));
    const float one = as_float(sizeof(Element) == 2 ? 0x3f803f80u : 0x3f800000u);
    unrolled<0, Layout::depth / depths_apart>([&](auto pass) {
      constexpr int behind = decltype(pass)::value * depths_apart;
      unrolled<0, count>([&](auto i) {
        constexpr int line = decltype(i)::value;
        if (is_one<line>())
          for (int word = 0; word < words; ++word)
            slice[place<line, behind>() + lines_behind<line>() + word] = one;
      });
    });
  }

  /// Starts the copies of depths k0 .. k0 + Layout::depth - 1 of a leaf that is `depth` deep.
  void load(Shared<float> slice, int leaf, int k0, int depth) const {
    unrolled<0, Layout::depth / depths_apart>([&](auto pass) {
      constexpr int behind = decltype(pass)::value * depths_apart;
      const int k = Share::depth() + behind;
      const bool inside = whole || k0 + k < depth; // else the step may be any: nothing is read
      const auto step = operand_.template step<Layout::depth>(leaf, k0, k);
      const auto from = operand_.from(step);
      unrolled<0, count>([&](auto i) {
        constexpr int line = decltype(i)::value;
        constexpr int to = lines_behind<line>();
        const Shared<float> own = slice + place<line, behind>();
        if constexpr (even)
          copy_async<run, to, line * lines_apart * Operand::apart, Operand::kept>(
              own, from, operand_.index(lines_[0], step), inside);
        else
          copy_async<run, to, 0, Operand::kept>(own, from, operand_.index(lines_[line], step),
                                                inside && operand_.exists(lines_[line], step),
                                                !is_one<line>());
      });
    });
  }

private:
  using Element = typename Operand::Element;
  using Share = ThreadShare<Operand, Layout, threads>;
  static constexpr int run = Share::run;
  static constexpr int lines_apart = Share::lines_apart, depths_apart = Share::depths_apart;
  static constexpr int count = Layout::extent / lines_apart;
  static_assert(
      !requires { Layout::piece; } || Layout::by_depth != Operand::by_depth ||
          run * sizeof(Element) == piece_bytes,
      "a piece is copied at once");
  static_assert(count * lines_apart == Layout::extent && Layout::depth % depths_apart == 0,
                "the threads share a slice evenly");

  static constexpr bool even = evenly_apart<Operand, Layout::extent>;

  /// Where the thread's i-th line is, `behind` depths behind its first: lines_behind<i>() from
  /// place<i, behind>(), which is the same for all lines as far as their swizzle is.
  template <int i> static constexpr int lines_behind() {
    return Layout::lines_behind(i * lines_apart / Layout::period * Layout::period);
  }
  template <int i, int behind> static int place() {
    return Layout::at(Share::line() + i * lines_apart % Layout::period, Share::depth() + behind);
  }
  /// Of the thread's lines, whether the i-th is of ones; run by run, which are of the same kind.
  template <int i> bool is_one() const {
    if constexpr (has_ones<Operand>)
      return first_ + i * lines_apart >= Operand::ones;
    return false;
  }

  const Operand& operand_;
  int first_; ///< The first of its lines.
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
