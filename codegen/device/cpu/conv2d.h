#pragma once
// Convolution, forward and data gradient: for each output pixel, a sum of products over runs of
// consecutive inputs, with the weights packed in panels of output channels.

#include "codegen/device/cpu/contraction_shape.h"
#include "codegen/device/cpu/tile.h"
#include "ir/kernel_abi.h"

namespace netc {

/// Constants of a gather.
template <Conv2d c, GatherPass pass> struct GatherPlan {
  static constexpr bool is_forward = pass == GatherPass::forward;
  static constexpr int in = is_forward ? c.group_in() : c.group_out();
  static constexpr int out = is_forward ? c.group_out() : c.group_in();
  static constexpr RegisterTile tile = register_tile(out, vector_length);
  static constexpr int panel = tile.vectors * vector_length;
  static constexpr int panels = ceil_div(out, panel);
  static constexpr int kernel = c.kernel_height * c.kernel_width;
  static constexpr int leaves = max_of(1, c.exact_blocks);
  static constexpr int l1_depth = l1_floats / panel;
  static constexpr int most_blocks = max_of(leaves, ceil_div(long(in) * kernel, l1_depth));
  static constexpr int most_runs = leaves * kernel + most_blocks;
  /// Rows of the smallest register tile that the units are cut in.
  static constexpr int least_rows = [] {
    int least = tile.rows;
    for (int phase = 0; phase < phases(c, pass); ++phase) {
      const Gather g = gather(c, pass, phase);
      const int chunks = g.rows == 0 ? 1 : ceil_div(g.h.count, g.rows);
      for (int more = 0; more < 2; ++more) // Chunks differ by a row where they do not divide.
        if (const int pixels = (g.h.count + more * (chunks - 1)) / chunks * g.w.count; pixels > 0)
          least = min_of(least, pixels / ceil_div(pixels, tile.rows));
    }
    return least;
  }();
};

/// The taps of a phase in ascending order of the input they read: kernel index and offset.
template <Conv2d c, GatherPass pass> struct Taps {
  int count = 0;
  int r[c.kernel_height * c.kernel_width];
  int s[c.kernel_height * c.kernel_width];
  int offset[c.kernel_height * c.kernel_width]; ///< From a pixel's address, in floats.

  Taps(const Gather& g, int phase) {
    for (int i = 0; i < c.kernel_height; ++i)
      for (int j = 0; j < c.kernel_width; ++j)
        if (pass == GatherPass::forward)
          add(g, i, j, i * c.dilation_height, j * c.dilation_width);
        else
          add_reversed(g, phase, c.kernel_height - 1 - i, c.kernel_width - 1 - j);
  }

private:
  void add(const Gather& g, int i, int j, int row, int column) {
    // A pixel's address is that of its lowest tap; read in place, that one may be above zero.
    const int row0 = g.direct ? g.h.low : 0;
    const int column0 = g.direct ? g.w.low : 0;
    r[count] = i;
    s[count] = j;
    offset[count++] = (row + row0) * g.row_stride + (column + column0) * g.pixel_stride;
  }
  void add_reversed(const Gather& g, int phase, int i, int j) {
    const int row = i * c.dilation_height - phase / c.stride_width;
    const int column = j * c.dilation_width - phase % c.stride_width;
    if (row % c.stride_height != 0 || column % c.stride_width != 0)
      return;
    const int origin_h = (g.h.first + c.pad_top) / c.stride_height;
    const int origin_w = (g.w.first + c.pad_left) / c.stride_width;
    add(g, i, j, origin_h - row / c.stride_height - g.h.low,
        origin_w - column / c.stride_width - g.w.low);
  }
};

/// The order of the reduction: runs of inputs in blocks. Fast: a block is what a panel in the
/// first-level cache covers. Exact: a block is a leaf of the tree.
template <Conv2d c, GatherPass pass> struct Reduction {
  using P = GatherPlan<c, pass>;
  Run runs[P::most_runs];
  int first_run[P::most_blocks + 1]; ///< Of each block.
  int first_row[P::most_blocks + 1]; ///< Of each block, in the packed panel.
  int blocks = 0;

  explicit Reduction(const Taps<c, pass>& taps) {
    const int depth = P::in * taps.count;
    const int block =
        c.exact_blocks > 0 ? depth + 1 : ceil_div(depth, max_of(1, ceil_div(depth, P::l1_depth)));
    open();
    for (int leaf = 0; leaf < P::leaves; ++leaf) {
      const int begin = share(P::in, leaf, P::leaves), end = share(P::in, leaf + 1, P::leaves);
      for (int t = 0; t < taps.count; ++t)
        append(taps.offset[t] + begin, end - begin, block);
      if (c.exact_blocks > 0)
        close();
    }
    if (blocks == 0 || row_ > first_row[blocks])
      close();
  }

private:
  int run_ = 0, row_ = 0;

  void open() {
    first_run[blocks] = run_;
    first_row[blocks] = row_;
  }
  void close() {
    ++blocks;
    open();
  }
  void append(int begin, int length, int block) {
    while (length > 0) {
      const int room = first_row[blocks] + block - row_;
      const int taken = min_of(length, room);
      if (run_ > first_run[blocks] && runs[run_ - 1].end == begin)
        runs[run_ - 1].end += taken;
      else
        runs[run_++] = {begin, begin + taken};
      begin += taken;
      length -= taken;
      row_ += taken;
      if (taken == room)
        close();
    }
  }
};

/// Weight of output channel `o` and input channel `i` of a group; OIHW.
template <Conv2d c, GatherPass pass>
inline float weight_at(const float* w, int group, int o, int i, int r, int s) {
  const long k = pass == GatherPass::forward ? o : i, ch = pass == GatherPass::forward ? i : o;
  return w[(((group * c.group_out() + k) * c.group_in() + ch) * c.kernel_height + r) *
               c.kernel_width +
           s];
}

/// Packs the weights of a phase as [group][panel][row of the reduction][output channel], with
/// zeros for channels that do not exist. Returns the end.
template <Conv2d c, GatherPass pass>
inline float* pack_weights(const float* w, float* packed, const Taps<c, pass>& taps,
                           const Thread& thread) {
  using P = GatherPlan<c, pass>;
  constexpr int strip = 16; // Input channels: small enough to stay in cache over the taps.
  constexpr int strips = ceil_div(P::in, strip);
  constexpr long items = long(c.groups) * P::panels * strips;
  const long panel_floats = long(taps.count) * P::in * P::panel;
  for (long item = thread.index; item < items; item += thread.count) {
    const int panel = item / strips, group = panel / P::panels;
    const int o0 = panel % P::panels * P::panel, channels = min_of(P::panel, P::out - o0);
    const int first = item % strips * strip, last = min_of(P::in, first + strip);
    for (int i = first; i < last; ++i) {
      // The leaf that holds input channel i.
      int leaf = 0;
      while (share(P::in, leaf + 1, P::leaves) <= i)
        ++leaf;
      const long begin = share(P::in, leaf, P::leaves), end = share(P::in, leaf + 1, P::leaves);
      for (int t = 0; t < taps.count; ++t) {
        float* to = packed + panel * panel_floats +
                    (begin * taps.count + t * (end - begin) + i - begin) * P::panel;
        for (int o = 0; o < channels; ++o)
          to[o] = weight_at<c, pass>(w, group, o0 + o, i, taps.r[t], taps.s[t]);
        for (int o = channels; o < P::panel; ++o)
          to[o] = 0;
      }
    }
  }
  return packed + long(c.groups) * P::panels * panel_floats;
}

/// Copies the input rows that `rows` output rows from `row` on read, with zeros around the image.
inline void copy_padded(const Gather& g, const float* image, int row, int rows, float* to) {
  const int first = row * g.h.in_step + g.h.low;
  const int width = g.row_stride / g.pixel_stride;
  const int left = min_of(width, max_of(0, -g.w.low));
  const int right = max_of(left, min_of(width, g.in_width - g.w.low)); // End of the columns.
  for (int i = 0; i < g.in_rows(rows); ++i, to += g.row_stride) {
    const int y = first + i;
    if (y < 0 || y >= g.in_height) {
      zero_floats(to, g.row_stride);
      continue;
    }
    zero_floats(to, long(left) * g.pixel_stride);
    const float* from = image + (long(y) * g.in_width + left + g.w.low) * g.in_channels;
    float* pixel = to + long(left) * g.pixel_stride;
    if (g.pixel_stride == g.in_channels) {
      copy_floats(pixel, from, long(right - left) * g.pixel_stride);
    } else {
      for (int x = left; x < right; ++x, from += g.in_channels, pixel += g.pixel_stride)
        copy_floats(pixel, from, g.pixel_stride);
    }
    zero_floats(to + long(right) * g.pixel_stride, long(width - right) * g.pixel_stride);
  }
}

/// Some output rows of one image and group.
struct GatherUnit {
  const float* in; ///< Lowest tap of the first pixel.
  float* out;      ///< The whole output tensor.
  int image, group, row, rows;
};

/// The pixels of one register tile: where they read, and which they are.
template <int rows> struct TilePixels {
  const float* in[rows];
  long pixel[rows];

  TilePixels(const Gather& g, const GatherUnit& unit, int first) {
    int i = first / g.w.count, j = first % g.w.count;
    for (int r = 0; r < rows; ++r) {
      in[r] =
          unit.in + long(i) * g.h.in_step * g.row_stride + long(j) * g.w.in_step * g.pixel_stride;
      const int y = g.h.first + (unit.row + i) * g.h.step, x = g.w.first + j * g.w.step;
      pixel[r] = (long(unit.image) * g.out_height + y) * g.out_width + x;
      if (++j == g.w.count)
        j = 0, ++i;
    }
  }
};

/// One register tile over block `block` of the reduction, or all of them in exact mode.
template <Conv2d c, GatherPass pass, int rows, class Epilogue>
inline void gather_tile(const Gather& g, const GatherUnit& unit, const Reduction<c, pass>& order,
                        const float* weights, int channel, int first, int block,
                        const Epilogue& epilogue) {
  using P = GatherPlan<c, pass>;
  using Sums = Tile<rows, P::tile.vectors>;
  const TilePixels<rows> pixels(g, unit, first);
  const int count = min_of(P::panel, (unit.group + 1) * P::out - channel);
  const auto row = [&](int r) { return unit.out + pixels.pixel[r] * g.out_channels + channel; };
  const auto add = [&](Sums & sums, int b) __attribute__((always_inline)) {
    sums.inner(pixels.in, order.runs + order.first_run[b], order.runs + order.first_run[b + 1],
               weights + long(order.first_row[b]) * P::panel);
  };
  if constexpr (c.exact_blocks > 0) {
    const Sums sums = tree_sum<Sums>(c.exact_blocks, [&](int b) {
      Sums leaf;
      leaf.clear();
      add(leaf, b);
      return leaf;
    });
    sums.store_rows(row, count);
  } else {
    Sums sums;
    if (block == 0)
      sums.clear();
    else
      sums.load_rows(row, count);
    add(sums, block);
    sums.store_rows(row, count);
    if (block + 1 < order.blocks)
      return;
  }
  for (int r = 0; r < rows; ++r)
    epilogue(row(r), pixels.pixel[r], channel, count);
}

/// The panels [panel, panel_end) of a unit.
template <Conv2d c, GatherPass pass, class Epilogue>
inline void gather_unit(const Gather& g, const GatherUnit& unit, const Reduction<c, pass>& order,
                        const float* packed, int panel, int panel_end, const Epilogue& epilogue) {
  using P = GatherPlan<c, pass>;
  const long panel_floats = long(order.first_row[order.blocks]) * P::panel;
  const int pixels = unit.rows * g.w.count;
  const int tiles = ceil_div(pixels, P::tile.rows);
  const int blocks = c.exact_blocks > 0 ? 1 : order.blocks;
  for (; panel < panel_end; ++panel) {
    const float* weights = packed + (long(unit.group) * P::panels + panel) * panel_floats;
    const int channel = unit.group * P::out + panel * P::panel;
    for (int block = 0; block < blocks; ++block)
      for (int t = 0; t < tiles; ++t) {
        const int first = share(pixels, t, tiles), last = share(pixels, t + 1, tiles);
        with_rows<P::tile.rows, P::least_rows>(last - first, [&](auto rows) {
          gather_tile<c, pass, rows.value>(g, unit, order, weights, channel, first, block,
                                           epilogue);
        });
      }
  }
}

/// This thread's share of one phase.
template <Conv2d c, GatherPass pass, class Epilogue>
inline void gather_phase(const Gather& g, const Reduction<c, pass>& order, const float* in,
                         const float* packed, float* out, float* copy, const Epilogue& epilogue,
                         const Thread& thread) {
  using P = GatherPlan<c, pass>;
  if (g.rows == 0)
    return;
  const int chunks = ceil_div(g.h.count, g.rows);
  const long units = long(c.batch) * c.groups * chunks;
  // With fewer units than would keep all threads busy, threads share a unit by its panels.
  const int splits = min_of(P::panels, ceil_div(4 * thread.count, units));
  const long items = units * splits;
  const long last = share(items, thread.index + 1, thread.count);
  long copied = -1;
  for (long item = share(items, thread.index, thread.count); item < last; ++item) {
    const long u = item / splits;
    const int split = item % splits, chunk = u % chunks;
    const int row = share(g.h.count, chunk, chunks);
    const int rows = share(g.h.count, chunk + 1, chunks) - row;
    const int group = u / chunks % c.groups;
    const long image = u / chunks / c.groups;
    const float* from = in + image * g.in_height * g.in_width * g.in_channels + group * P::in;
    if (!g.direct && copied != u)
      copy_padded(g, from, row, rows, copy);
    copied = u;
    const float* first = g.direct ? from + long(row) * g.h.in_step * g.row_stride : copy;
    gather_unit<c, pass>(g, {first, out, int(image), group, row, rows}, order, packed,
                         share(P::panels, split, splits), share(P::panels, split + 1, splits),
                         epilogue);
  }
}

/// Packs the weights of all phases, then computes them.
template <Conv2d c, GatherPass pass, class Epilogue>
inline void gather_all(const float* in, const float* w, float* out, float* workspace,
                       const Epilogue& epilogue, const Thread& thread) {
  constexpr int count = phases(c, pass);
  float* packed = workspace;
  for (int phase = 0; phase < count; ++phase)
    packed = pack_weights(w, packed, Taps<c, pass>(gather(c, pass, phase), phase), thread);
  thread.barrier();
  constexpr long copy_size = gather_copy_floats(c, pass);
  float* copy = workspace + round_up(packed_weight_floats(c, pass, vector_length), 16) +
                thread.index * copy_size;
  packed = workspace;
  for (int phase = 0; phase < count; ++phase) {
    const Gather g = gather(c, pass, phase);
    const Taps<c, pass> taps(g, phase);
    gather_phase<c, pass>(g, Reduction<c, pass>(taps), in, packed, out, copy, epilogue, thread);
    using P = GatherPlan<c, pass>;
    packed += long(c.groups) * P::panels * P::panel * P::in * taps.count;
  }
}

/// y = conv(x, w), then epilogue. Workspace: conv2d_forward_workspace(c, thread.count) bytes.
template <Conv2d c, class Epilogue = NoEpilogue>
inline void conv2d_forward(const float* x, const float* w, float* y, float* workspace,
                           const Epilogue& epilogue, const Thread& thread) {
  gather_all<c, GatherPass::forward>(x, w, y, workspace, epilogue, thread);
}

/// dx = the gradient of conv(x, w) for dy, then epilogue, whose pixels and channels are those of
/// dx. Workspace: conv2d_data_gradient_workspace(c, thread.count) bytes.
template <Conv2d c, class Epilogue = NoEpilogue>
inline void conv2d_data_gradient(const float* dy, const float* w, float* dx, float* workspace,
                                 const Epilogue& epilogue, const Thread& thread) {
  gather_all<c, GatherPass::data_gradient>(dy, w, dx, workspace, epilogue, thread);
}

} // namespace netc
