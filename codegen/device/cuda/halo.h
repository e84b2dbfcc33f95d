#pragma once
// Products of convolutions whose rows are pixels of padded images (PaddedImages in tiling.h). In
// shared memory lie the pixels of a tile and its halo, of a block of channels. Where the windows of
// one tap are, those of another are so many lines further: an instruction of a warpgroup finds them
// by where it begins. Each pixel is brought once, not once for every tap; what is brought for each
// tap is its weights.

#include "codegen/device/cuda/pipeline.h"

namespace netc {

/// Pieces of 16 bytes of a slice, dealt out to the threads of a block. `i` counts those of a
/// thread.
template <class Layout, int threads> struct Pieces {
  static constexpr int of_line = Layout::depth / Layout::piece, all = Layout::extent * of_line;
  static constexpr int count = (all + threads - 1) / threads;
  static int line(int i) {
    return threads % of_line == 0 ? lane() / of_line + i * (threads / of_line)
                                  : (lane() + i * threads) / of_line;
  }
  /// Its first depth.
  static int depth(int i) {
    return (threads % of_line == 0 ? lane() : lane() + i * threads) % of_line * Layout::piece;
  }
  static bool exists(int i) { return all % threads == 0 || lane() + i * threads < all; }
};

/// What a block has in shared memory: two blocks of channels of the rows, t.stages slices of
/// columns, each of t.taps.
template <class Product, Tiling t> struct HaloSlices {
  static constexpr int threads = threads_of(t);
  using A = DirectLayout<Product::halo_lines, t.slice, true, typename Product::A::Element>;
  using B = DirectLayout<copied_columns(t), t.taps * t.slice, true, typename Product::B::Element>;
  using Rows = Pieces<A, threads>;
  using Columns = Pieces<B, threads>;

  static Shared<float> a(int block) {
    return shared_array<float>(block % 2 * A::floats * 4, A::floats);
  }
  static Shared<float> b(int stage) {
    return shared_array<float>((2 * A::floats + stage * B::floats) * 4, B::floats);
  }
};

/// Copies of one thread.
template <class Product, Tiling t> class HaloLoader {
  using S = HaloSlices<Product, t>;

public:
  HaloLoader(const Product& p, const TilePlace& place)
      : pixels_{p.a.data, p.a.group}, weights_(p.b), row_(place.row) {
    for (int i = 0; i < S::Columns::count; ++i) {
      const int line = S::Columns::line(i), depth = S::Columns::depth(i);
      from_[i] = weights_.line(place.column + line) + depth;
      to_[i] = S::B::at(line, depth);
    }
  }

  /// Starts to copy the thread's i-th piece of the rows of a block of channels.
  void load_row(int block, int i) const {
    if (!S::Rows::exists(i))
      return;
    const int line = S::Rows::line(i), depth = S::Rows::depth(i);
    const auto index = pixels_.at(row_ + line);
    copy_async<S::A::piece>(S::a(block) + S::A::at(line, depth),
                            pixels_.data + (block * t.slice + depth), index, index >= 0);
  }
  /// Starts to copy the columns of a slice.
  void load_columns(int slice, int stage) const {
    unrolled<0, S::Columns::count>([&](auto number) {
      constexpr int i = decltype(number)::value;
      if (S::Columns::exists(i))
        copy_async<S::B::piece>(S::b(stage) + to_[i], weights_.data + slice * S::B::depth, from_[i],
                                true);
    });
  }

private:
  typename Product::Pixels pixels_;
  const typename Product::B& weights_;
  int row_;
  typename Product::B::Line from_[S::Columns::count]; ///< Of its pieces in the first slice,
  int to_[S::Columns::count];                         ///< and where they go.
};

/// Adds the products of blocks of channels first .. end - 1. Slices are a block's taps in turn,
/// t.taps at a time. While they are multiplied the rows of the next block come, a few pieces a
/// slice: not before the products of the block before it are complete, nor so late that nobody
/// would wait for them.
template <Tiling t, class Product, class Sums>
void add_halo_slices(const Product& p, const TilePlace& place, int first, int end, Sums& sums) {
  using S = HaloSlices<Product, t>;
  constexpr int pending = slices_pending(t), ahead = slices_ahead_direct<t>;
  constexpr int slices = Product::taps / t.taps; ///< Of a block.
  static_assert(slices * t.taps == Product::taps, "slices are of as many taps");
  constexpr int turns = slices - ahead - pending + 1;
  static_assert(ahead >= 1 && turns >= 1, "a slice is on its way; rows come in time");
  constexpr int pieces = (S::Rows::count + turns - 1) / turns;
  const HaloLoader<Product, t> loader(p, place);
  barrier(); // slices of another tile may still be read
  if (first >= end)
    return;
  for (int i = 0; i < S::Rows::count; ++i)
    loader.load_row(first, i);
  for (int stage = 0; stage < ahead; ++stage) { // a group each; all of one block, or of the next
    loader.load_columns(first * slices + stage, stage);
    copy_commit();
  }
  int block = first, turn = 0; // of the block's slices
  auto load = [&](int slice, int stage) {
    if (slice < end * slices)
      loader.load_columns(slice, stage);
    if (turn >= pending && block + 1 < end)
#pragma unroll 1
      for (int i = (turn - pending) * pieces;
           i < min((turn - pending + 1) * pieces, S::Rows::count); ++i)
        loader.load_row(block + 1, i);
    if (++turn == slices)
      turn = 0, ++block;
  };
  auto multiply = [&](int stage) {
#pragma unroll
    for (int i = 0; i < t.taps; ++i)
      sums.template multiply_direct<typename S::A, typename S::B>(
          S::a(block), S::b(stage), Product::line_of(turn * t.taps + i), i * t.slice);
  };
  multiply_direct<t>(load, multiply, first * slices, end * slices, sums);
}

} // namespace netc
