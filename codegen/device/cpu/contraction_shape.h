#pragma once
// Shapes, blocking and workspace sizes of the CPU contractions. Plain C++ without includes: the
// planner (host) and the generated kernels (device) compile the same text.

namespace netc {

/// A 2-D convolution. Tensors: x[batch][in_height][in_width][in_channels],
/// y[batch][out_height()][out_width()][out_channels], and weights
/// w[out_channels][in_channels / groups][kernel_height][kernel_width].
struct Conv2d {
  int batch;
  int in_height, in_width, in_channels; ///< `in_channels` counts all groups.
  int out_channels;                     ///< Counts all groups.
  int kernel_height, kernel_width;
  int groups = 1;
  int stride_height = 1, stride_width = 1;
  int dilation_height = 1, dilation_width = 1;
  int pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  /// 0: fast. 1, 2, 4 or 8: exact; the number of equal blocks of the reduced dimension that this
  /// device holds, 8 where it is not split. See README.md.
  int exact_blocks = 0;
  /// Of a weight gradient on GPUs, by a kernel of more than one tap and not exact: the gradient of
  /// a bias, the sums of the output's gradient by channel, is computed with it.
  bool bias_gradient = false;

  constexpr int out_height() const {
    return (in_height + pad_top + pad_bottom - (kernel_height - 1) * dilation_height - 1) /
               stride_height +
           1;
  }
  constexpr int out_width() const {
    return (in_width + pad_left + pad_right - (kernel_width - 1) * dilation_width - 1) /
               stride_width +
           1;
  }
  constexpr int group_in() const { return in_channels / groups; }
  constexpr int group_out() const { return out_channels / groups; }
};

/// A fully connected layer: x[batch][in_features], w[out_features][in_features],
/// y[batch][out_features].
struct Linear {
  int batch, in_features, out_features;
  int exact_blocks = 0; ///< As in Conv2d.
};

constexpr long ceil_div(long a, long b) {
  return (a + b - 1) / b;
}
constexpr long round_up(long a, long b) {
  return ceil_div(a, b) * b;
}
constexpr long max_of(long a, long b) {
  return a < b ? b : a;
}
constexpr long min_of(long a, long b) {
  return a < b ? a : b;
}
/// First index of share `i` of `n` things cut in `count` balanced shares.
constexpr long share(long n, long i, long count) {
  return n * i / count;
}

/// Live partial sums of the tree of an exact reduction.
constexpr int tree_levels(int exact_blocks) {
  return exact_blocks > 1 ? 1 + tree_levels(exact_blocks / 2) : 1;
}

// ---- Blocking. `vl` is the number of floats in a vector: 4, 8 or 16.

/// A tile of sums held in registers: `rows` scalars times `vectors` vectors.
struct RegisterTile {
  int rows, vectors;
};

/// The tile that wastes the fewest lanes on `channels`. Sums, one row of vectors and a broadcast
/// must fit the registers (32 with 16 lanes, else 16), the row pointers the general ones.
constexpr RegisterTile register_tile(int channels, int vl) {
  const RegisterTile wide[] = {{6, 4}, {9, 3}, {12, 2}, {12, 1}};
  const RegisterTile narrow[] = {{6, 2}, {4, 3}, {8, 1}, {8, 1}};
  RegisterTile best{};
  double best_cost = 0;
  for (int i = 0; i < 4; ++i) {
    const RegisterTile t = vl == 16 ? wide[i] : narrow[i];
    // Loads per multiplication decide between tiles of equal waste.
    const double loads = double(t.rows + t.vectors) / (t.rows * t.vectors);
    const double cost = double(round_up(channels, long(t.vectors) * vl)) * (1 + 0.3 * loads);
    if (i == 0 || cost < best_cost) {
      best = t;
      best_cost = cost;
    }
  }
  return best;
}

/// Floats of a panel of packed operands that stay in the first-level cache.
constexpr int l1_floats = 6144;
/// Floats of an operand that stay in the second-level cache beside the other one.
constexpr int l2_floats = 65536;

// ---- Convolution forward and data gradient: both gather, an output is a sum over shifted inputs.

enum class GatherPass { forward, data_gradient };

/// One axis of a gather. Output i is at coordinate first + i * step and reads the input
/// coordinates i * in_step + offset, with `taps` offsets between `low` and `high`.
struct Axis {
  int first, step, count;
  int in_step, low, high;
  int taps;
};

/// Offset of kernel tap `r` on the axis of the forward pass.
constexpr int forward_offset(int r, int dilation, int pad) {
  return r * dilation - pad;
}

/// The input coordinates congruent to `residue` after padding; for them the same taps count.
constexpr Axis gradient_axis(int size, int kernel, int stride, int dilation, int pad, int residue) {
  Axis a{((residue - pad) % stride + stride) % stride, stride, 0, 1, 0, 0, 0};
  a.count = a.first < size ? (size - 1 - a.first) / stride + 1 : 0;
  for (int r = kernel - 1; r >= 0; --r) {
    if (r * dilation % stride != residue)
      continue;
    const int offset = (a.first + pad) / stride - (r * dilation - residue) / stride;
    a.low = a.taps == 0 ? offset : a.low;
    a.high = offset;
    ++a.taps;
  }
  return a;
}

/// A gather: the forward pass, or one phase of the data gradient (the outputs whose coordinates
/// have one residue modulo the stride).
struct Gather {
  Axis h, w;
  int in_height, in_width, in_channels;
  int out_height, out_width, out_channels;
  int group_in, group_out;
  bool direct;      ///< No padding: the input is read in place, else through a padded copy.
  int pixel_stride; ///< Floats between input pixels as they are read.
  int row_stride;
  int rows; ///< Output rows computed from one copy.

  /// Input rows for `n` output rows.
  constexpr int in_rows(int n) const { return (n - 1) * h.in_step + h.high - h.low + 1; }
  constexpr long copy_floats() const {
    return direct || rows == 0 ? 0 : round_up(long(in_rows(rows)) * row_stride, 16);
  }
};

constexpr int phases(const Conv2d& c, GatherPass pass) {
  return pass == GatherPass::forward ? 1 : c.stride_height * c.stride_width;
}

constexpr Gather gather(const Conv2d& c, GatherPass pass, int phase) {
  Gather g{};
  if (pass == GatherPass::forward) {
    g.h = {0, 1, c.out_height(), c.stride_height, -c.pad_top, 0, c.kernel_height};
    g.w = {0, 1, c.out_width(), c.stride_width, -c.pad_left, 0, c.kernel_width};
    g.h.high = forward_offset(c.kernel_height - 1, c.dilation_height, c.pad_top);
    g.w.high = forward_offset(c.kernel_width - 1, c.dilation_width, c.pad_left);
    g.in_height = c.in_height, g.in_width = c.in_width, g.in_channels = c.in_channels;
    g.out_height = c.out_height(), g.out_width = c.out_width(), g.out_channels = c.out_channels;
  } else {
    g.h = gradient_axis(c.in_height, c.kernel_height, c.stride_height, c.dilation_height, c.pad_top,
                        phase / c.stride_width);
    g.w = gradient_axis(c.in_width, c.kernel_width, c.stride_width, c.dilation_width, c.pad_left,
                        phase % c.stride_width);
    g.in_height = c.out_height(), g.in_width = c.out_width(), g.in_channels = c.out_channels;
    g.out_height = c.in_height, g.out_width = c.in_width, g.out_channels = c.in_channels;
  }
  g.group_in = g.in_channels / c.groups;
  g.group_out = g.out_channels / c.groups;
  const bool empty = g.h.count == 0 || g.w.count == 0;
  g.direct =
      empty || g.h.taps * g.w.taps == 0 ||
      (g.h.low >= 0 && g.w.low >= 0 && (g.h.count - 1) * g.h.in_step + g.h.high < g.in_height &&
       (g.w.count - 1) * g.w.in_step + g.w.high < g.in_width);
  g.pixel_stride = g.direct ? g.in_channels : g.group_in;
  const int width = (g.w.count - 1) * g.w.in_step + g.w.high - g.w.low + 1;
  g.row_stride = (g.direct ? g.in_width : width) * g.pixel_stride;
  if (empty)
    return g;
  int units = 1;
  while (
      units<g.h.count&& long(g.in_rows(ceil_div(g.h.count, units))) * width * g.group_in> l2_floats)
    ++units;
  // A small batch of large images is cut further, for the threads.
  while (long(units) * c.batch < 16 && units < g.h.count &&
         ceil_div(g.h.count, units + 1) * g.w.count >= 128)
    ++units;
  g.rows = ceil_div(g.h.count, units);
  return g;
}

/// Floats of the weights packed for `pass` (all phases together: a tap belongs to one).
constexpr long packed_weight_floats(const Conv2d& c, GatherPass pass, int vl) {
  const int in = pass == GatherPass::forward ? c.group_in() : c.group_out();
  const int out = pass == GatherPass::forward ? c.group_out() : c.group_in();
  return c.groups * round_up(out, register_tile(out, vl).vectors * long(vl)) * in *
         c.kernel_height * c.kernel_width;
}

/// Floats of one thread's padded copy.
constexpr long gather_copy_floats(const Conv2d& c, GatherPass pass) {
  long floats = 0;
  for (int phase = 0; phase < phases(c, pass); ++phase)
    floats = max_of(floats, gather(c, pass, phase).copy_floats());
  return floats;
}

// ---- Convolution weight gradient: an outer product for each output pixel.

/// Blocking of the weight gradient. A unit is a few output rows of an image; all threads pack the
/// `units` of a round, then each adds them to its own tiles of the gradient.
struct WeightGradient {
  RegisterTile tile;
  int panel, panels; ///< Output channels in a panel; panels in a group.
  bool direct;       ///< As in Gather.
  int width;         ///< Of the padded copy, in pixels.
  int rows, units;
  long copy_floats; ///< Padded copy of a unit.
  long dy_floats;   ///< Packed output gradients of a unit.
  long sums_floats; ///< Packed weight gradient.
  int levels;       ///< Live partial sums of the tree.
};

constexpr WeightGradient weight_gradient(const Conv2d& c, int vl) {
  WeightGradient p{};
  p.tile = register_tile(c.group_out(), vl);
  p.panel = p.tile.vectors * vl;
  p.panels = ceil_div(c.group_out(), p.panel);
  p.direct = gather(c, GatherPass::forward, 0).direct;
  p.width = (c.out_width() - 1) * c.stride_width + (c.kernel_width - 1) * c.dilation_width + 1;
  // Exact: pixels summed together must not depend on the channels this device holds.
  const long pixels = c.exact_blocks > 0 ? 128 : l1_floats / p.panel;
  const int most = min_of(c.out_height(), max_of(1, pixels / c.out_width()));
  p.rows = ceil_div(c.out_height(), ceil_div(c.out_height(), most));
  const int in_rows =
      (p.rows - 1) * c.stride_height + (c.kernel_height - 1) * c.dilation_height + 1;
  p.copy_floats = p.direct ? 0 : round_up(long(in_rows) * p.width * c.in_channels, 16);
  p.dy_floats = long(c.groups) * p.panels * p.rows * c.out_width() * p.panel;
  p.units = max_of(1, min_of(4 * l2_floats / (p.copy_floats + p.dy_floats),
                             c.batch * ceil_div(c.out_height(), p.rows)));
  p.sums_floats =
      long(c.groups) * p.panels * p.panel * c.group_in() * c.kernel_height * c.kernel_width;
  p.levels = tree_levels(c.exact_blocks);
  return p;
}

// ---- Linear.

/// Blocking of linear_forward: lanes are samples; the inputs are packed as x^T.
constexpr RegisterTile linear_forward_tile(const Linear& l, int vl) {
  return register_tile(l.batch, vl);
}
constexpr long linear_forward_lanes(const Linear& l, int vl) {
  return round_up(l.batch, linear_forward_tile(l, vl).vectors * long(vl));
}
/// Blocking of both gradients: lanes are input features.
constexpr RegisterTile linear_gradient_tile(const Linear& l, int vl) {
  return register_tile(l.in_features, vl);
}
constexpr int linear_depth = 96;     ///< Output features summed by the data gradient at a time.
constexpr int linear_row_block = 48; ///< Rows of dw computed from one copy of dy.
/// Panels of lanes that the data gradient packs together: long enough to read rows of the weights
/// as streams.
constexpr long linear_strip(const Linear& l, int vl) {
  const long panel = linear_gradient_tile(l, vl).vectors * long(vl);
  return min_of(ceil_div(512, panel), ceil_div(l.in_features, panel));
}

// ---- Workspace, in bytes, 64-byte aligned, for any vector length.

/// Applies `floats(vl)` to each vector length and takes the most.
template <class F> constexpr long workspace_bytes(F floats) {
  return 4 * max_of(floats(4), max_of(floats(8), floats(16)));
}

constexpr long conv2d_gather_floats(const Conv2d& c, GatherPass pass, int threads, int vl) {
  return round_up(packed_weight_floats(c, pass, vl), 16) + threads * gather_copy_floats(c, pass);
}
constexpr long conv2d_forward_workspace(const Conv2d& c, int threads) {
  return workspace_bytes(
      [&](int vl) { return conv2d_gather_floats(c, GatherPass::forward, threads, vl); });
}
constexpr long conv2d_data_gradient_workspace(const Conv2d& c, int threads) {
  return workspace_bytes(
      [&](int vl) { return conv2d_gather_floats(c, GatherPass::data_gradient, threads, vl); });
}
constexpr long conv2d_weight_gradient_workspace(const Conv2d& c, int /*threads*/) {
  return workspace_bytes([&](int vl) {
    const WeightGradient p = weight_gradient(c, vl);
    return p.levels * round_up(p.sums_floats, 16) +
           p.units * (p.copy_floats + round_up(p.dy_floats, 16));
  });
}
constexpr long linear_forward_workspace(const Linear& l, int /*threads*/) {
  return workspace_bytes(
      [&](int vl) { return linear_forward_lanes(l, vl) * (long(l.in_features) + l.out_features); });
}
constexpr long linear_forward_dot_workspace(const Linear&, int /*threads*/) {
  return 0;
}
constexpr long linear_data_gradient_workspace(const Linear& l, int threads) {
  return workspace_bytes([&](int vl) {
    const long lanes = linear_strip(l, vl) * linear_gradient_tile(l, vl).vectors * vl;
    const long sums = tree_levels(l.exact_blocks) * l.batch * lanes;
    return round_up(long(l.batch) * l.out_features, 16) + threads * (linear_depth * lanes + sums);
  });
}
constexpr long linear_weight_gradient_workspace(const Linear& l, int threads) {
  return workspace_bytes([&](int vl) {
    const long lanes = round_up(l.in_features, linear_gradient_tile(l, vl).vectors * long(vl));
    return l.batch * (lanes + threads * linear_row_block);
  });
}

} // namespace netc
