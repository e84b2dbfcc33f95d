#pragma once
// Convolution weight gradient: an outer product of inputs and output gradients for each output
// pixel. Threads own tiles of the gradient, so that no sums cross threads.

#include "codegen/device/cpu/conv2d.h"

namespace netc {

/// Constants of a weight gradient. Its rows are (kernel row, kernel column, input channel); a run
/// is rows whose inputs are consecutive floats.
template <Conv2d c> struct WeightGradientPlan {
  static constexpr WeightGradient p = weight_gradient(c, vector_length);
  static constexpr int taps = c.kernel_height * c.kernel_width;
  static constexpr int depth = taps * c.group_in();
  static constexpr bool merged = c.groups == 1 && c.dilation_width == 1;
  static constexpr int run = merged ? c.kernel_width * c.group_in() : c.group_in();
  static constexpr int runs = depth / run;
  static constexpr int tiles = ceil_div(run, p.tile.rows); ///< In a run.
  static constexpr int panels = c.groups * p.panels;
  static constexpr int chunks = ceil_div(c.out_height(), p.rows); ///< Units of an image.
  static constexpr long items = long(panels) * runs * tiles;
  static constexpr long dy_size = round_up(p.dy_floats, 16);
  /// The forward gather, but with all groups' channels in one copy.
  static constexpr Gather g = [] {
    Gather all = gather(c, GatherPass::forward, 0);
    all.pixel_stride = c.in_channels;
    all.row_stride = (all.direct ? c.in_width : p.width) * c.in_channels;
    return all;
  }();

  /// Row of [panel][row of the reduction] where an item begins; `item` may be `items`.
  static constexpr long first_row(long item) {
    return item / tiles * run + share(run, item % tiles, tiles);
  }
};

/// A few output rows of one image.
struct GradientUnit {
  long image;
  int row, rows;
};
template <Conv2d c> inline GradientUnit gradient_unit(long index) {
  constexpr int chunks = WeightGradientPlan<c>::chunks;
  const int chunk = index % chunks, row = share(c.out_height(), chunk, chunks);
  return {index / chunks, row, int(share(c.out_height(), chunk + 1, chunks)) - row};
}

/// Packs a panel of output gradients as [pixel][output channel], with zeros for channels that do
/// not exist.
template <Conv2d c>
inline void pack_panel(const float* dy, const GradientUnit& unit, int panel, float* to) {
  using W = WeightGradientPlan<c>;
  const int o0 = panel % W::p.panels * W::p.panel;
  const int channels = min_of(W::p.panel, c.group_out() - o0);
  const float* from = dy +
                      (unit.image * c.out_height() + unit.row) * c.out_width() * c.out_channels +
                      panel / W::p.panels * c.group_out() + o0;
  for (int pixel = 0; pixel < unit.rows * c.out_width(); ++pixel) {
    if (channels == W::p.panel)
      copy_floats(to, from, W::p.panel);
    else
      for (int o = 0; o < W::p.panel; ++o)
        to[o] = o < channels ? from[o] : 0;
    to += W::p.panel;
    from += c.out_channels;
  }
}

/// The packed operands of a round of units.
template <Conv2d c> struct GradientRound {
  using W = WeightGradientPlan<c>;
  static constexpr Gather g = W::g;
  long first, count;
  float* copies;
  float* dys;

  void pack(const float* x, const float* dy, const Thread& thread) const {
    const long copied = g.direct ? 0 : count;
    for (long i = thread.index; i < copied + count * W::panels; i += thread.count) {
      if (i < copied) {
        const GradientUnit unit = gradient_unit<c>(first + i);
        const float* image = x + unit.image * c.in_height * c.in_width * c.in_channels;
        copy_padded(g, image, unit.row, unit.rows, copies + i * W::p.copy_floats);
      } else {
        const long u = (i - copied) / W::panels;
        const int panel = (i - copied) % W::panels;
        const GradientUnit unit = gradient_unit<c>(first + u);
        pack_panel<c>(dy, unit, panel, dy_panel(u, unit, panel));
      }
    }
  }
  float* dy_panel(long u, const GradientUnit& unit, int panel) const {
    return dys + u * W::dy_size + long(panel) * unit.rows * c.out_width() * W::p.panel;
  }
  /// The lowest tap of the unit's first pixel.
  const float* inputs(const float* x, long u, const GradientUnit& unit) const {
    if (!g.direct)
      return copies + u * W::p.copy_floats;
    const long row = unit.image * c.in_height + unit.row * c.stride_height + g.h.low;
    return x + (row * c.in_width + g.w.low) * c.in_channels;
  }
};

/// sums[item] (+)= the outer products of a unit. `in` is the lowest tap of its first pixel.
template <Conv2d c>
inline void gradient_tile(const float* in, const float* dy, long item, int unit_rows, bool add,
                          float* sums) {
  using W = WeightGradientPlan<c>;
  const int panel = item / (W::runs * W::tiles), run = item / W::tiles % W::runs;
  const int row = share(W::run, item % W::tiles, W::tiles);
  const int rows = share(W::run, item % W::tiles + 1, W::tiles) - row;
  const int r = W::merged ? run : run / c.kernel_width, s = W::merged ? 0 : run % c.kernel_width;
  const float* a = in + long(r) * c.dilation_height * W::g.row_stride +
                   s * c.dilation_width * c.in_channels + panel / W::p.panels * c.group_in() + row;
  float* to = sums + W::first_row(item) * W::p.panel;
  with_rows<W::p.tile.rows, W::run / W::tiles>(rows, [&](auto n) {
    using Sums = Tile<n.value, W::p.tile.vectors>;
    const auto at = [&](int i) { return to + i * W::p.panel; };
    Sums tile;
    tile.clear();
    tile.outer(a, unit_rows, long(c.stride_height) * W::g.row_stride, c.out_width(),
               long(c.stride_width) * c.in_channels, dy);
    if (add) {
      // Sums of sums: closer than one long sum.
      Sums before;
      before.load_rows(at, W::p.panel);
      tile = before + tile;
    }
    tile.store_rows(at, W::p.panel);
  });
}

/// sums = this thread's items, over the units [first, last). All threads call it together.
template <Conv2d c>
inline void gradient_block(const float* x, const float* dy, long first, long last, float* sums,
                           float* packed, const Thread& thread) {
  using W = WeightGradientPlan<c>;
  const long item_begin = share(W::items, thread.index, thread.count);
  const long item_end = share(W::items, thread.index + 1, thread.count);
  if (first == last) {
    const long row = W::first_row(item_begin);
    zero_floats(sums + row * W::p.panel, (W::first_row(item_end) - row) * W::p.panel);
  }
  for (long begin = first; begin < last; begin += W::p.units) {
    const GradientRound<c> round{begin, min_of(W::p.units, last - begin), packed,
                                 packed + W::p.units * W::p.copy_floats};
    round.pack(x, dy, thread);
    thread.barrier();
    for (long u = 0; u < round.count; ++u) {
      const GradientUnit unit = gradient_unit<c>(begin + u);
      const float* in = round.inputs(x, u, unit);
      for (long item = item_begin; item < item_end; ++item) {
        const int panel = item / (W::runs * W::tiles);
        gradient_tile<c>(in, round.dy_panel(u, unit, panel), item, unit.rows, begin + u > first,
                         sums);
      }
    }
    thread.barrier();
  }
}

/// dw = the packed sums, as OIHW. Threads share the work anew.
template <Conv2d c>
inline void unpack_gradient(const float* sums, float* dw, const Thread& thread) {
  using W = WeightGradientPlan<c>;
  constexpr int strip = 16;
  constexpr int strips = ceil_div(c.group_in(), strip);
  for (long item = thread.index; item < long(W::panels) * strips; item += thread.count) {
    const int panel = item / strips, first = item % strips * strip;
    const int last = min_of(c.group_in(), first + strip);
    const int o0 = panel % W::p.panels * W::p.panel;
    const int channels = min_of(W::p.panel, c.group_out() - o0);
    for (int o = 0; o < channels; ++o) {
      const long k = panel / W::p.panels * c.group_out() + o0 + o;
      const float* from = sums + long(panel) * W::depth * W::p.panel + o;
      float* to = dw + (k * c.group_in() + first) * W::taps;
      for (int i = first; i < last; ++i)
        for (int t = 0; t < W::taps; ++t)
          *to++ = from[(long(t) * c.group_in() + i) * W::p.panel];
    }
  }
}

/// dw = the gradient of conv(x, w) for dy. Workspace: conv2d_weight_gradient_workspace(c,
/// thread.count) bytes.
template <Conv2d c>
inline void conv2d_weight_gradient(const float* x, const float* dy, float* dw, float* workspace,
                                   const Thread& thread) {
  using W = WeightGradientPlan<c>;
  constexpr int blocks = max_of(1, c.exact_blocks);
  constexpr long sums_size = round_up(W::p.sums_floats, 16);
  float* packed = workspace + W::p.levels * sums_size;
  const long own = W::first_row(share(W::items, thread.index, thread.count)) * W::p.panel;
  const long own_end = W::first_row(share(W::items, thread.index + 1, thread.count)) * W::p.panel;
  int level = 0;
  for (int block = 0; block < blocks; ++block) {
    gradient_block<c>(x, dy, share(c.batch, block, blocks) * W::chunks,
                      share(c.batch, block + 1, blocks) * W::chunks, workspace + level * sums_size,
                      packed, thread);
    // The balanced tree: a block with an odd number completes a left neighbour.
    for (int bits = block; bits & 1; bits >>= 1, --level) {
      float* left = workspace + (level - 1) * sums_size;
      for (long i = own; i < own_end; ++i)
        left[i] = left[i] + left[i + sums_size];
    }
    ++level;
  }
  thread.barrier();
  unpack_gradient<c>(workspace, dw, thread);
}

} // namespace netc
