#pragma once
// Gradients of fully connected layers. Lanes are input features, which are consecutive in both
// the weights and the inputs.

#include "codegen/device/cpu/contraction_shape.h"
#include "codegen/device/cpu/tile.h"
#include "ir/kernel_abi.h"

namespace netc {

/// Constants of both gradients.
template <Linear l> struct LinearGradientPlan {
  static constexpr RegisterTile tile = linear_gradient_tile(l, vector_length);
  static constexpr int panel = tile.vectors * vector_length;
  static constexpr int panels = ceil_div(l.in_features, panel);
  static constexpr int strip = linear_strip(l, vector_length);
};

/// Packs `rows` rows of `panels` panels of a matrix with l.in_features columns as
/// [panel][row][column], `step` floats from panel to panel, with zeros for columns that do not
/// exist.
template <Linear l>
inline void pack_columns(const float* from, int rows, int panel, int panels, long step, float* to) {
  constexpr int width = LinearGradientPlan<l>::panel;
  for (int r = 0; r < rows; ++r, from += l.in_features)
    for (int p = 0; p < panels; ++p) {
      const float* source = from + (panel + p) * width;
      const int count = min_of(width, l.in_features - (panel + p) * width);
      float* target = to + p * step + r * width;
      if (count == width)
        copy_floats(target, source, width);
      else
        for (int i = 0; i < width; ++i)
          target[i] = i < count ? source[i] : 0;
    }
}

/// Walks over rows of the weights that are needed soon, and asks for them a few lines at a time,
/// so that memory works while sums are computed. (Many at once would fill the line buffers.)
struct Ahead {
  const float* row;
  int rows, floats;
  int column = 0;

  template <Linear l> void prefetch(int lines) {
    for (; lines > 0 && rows > 0; --lines) {
      __builtin_prefetch(row + column, 0, 2);
      column += 16;
      if (column >= floats)
        column = 0, row += l.in_features, --rows;
    }
  }
};

/// sums[sample][strip] (+)= the products over `depth` output features. `dy` is packed as
/// [sample][depth] and the weights as [panel][depth][lane].
template <Linear l>
inline void linear_data_block(const float* dy, const float* packed, int panels, int depth, bool add,
                              Ahead ahead, float* sums) {
  using P = LinearGradientPlan<l>;
  constexpr int tiles = ceil_div(l.batch, P::tile.rows);
  constexpr int step = 8; // Output features between prefetches.
  const int lines =
      ceil_div(ceil_div(ahead.floats, 16) * ahead.rows, panels * tiles * ceil_div(depth, step));
  for (int t = 0; t < panels * tiles; ++t) {
    const int p = t / tiles, n = share(l.batch, t % tiles, tiles);
    const int count = share(l.batch, t % tiles + 1, tiles) - n;
    with_rows<P::tile.rows, l.batch / tiles>(count, [&](auto rows) {
      const float* a[rows.value];
      for (int r = 0; r < rows.value; ++r)
        a[r] = dy + (n + r) * depth;
      const auto at = [&](int r) { return sums + ((n + r) * P::strip + p) * P::panel; };
      Tile<rows.value, P::tile.vectors> tile;
      if (add)
        tile.load_rows(at, P::panel);
      else
        tile.clear();
      for (int begin = 0; begin < depth; begin += step) {
        ahead.prefetch<l>(lines);
        const Run run{begin, int(min_of(begin + step, depth))};
        tile.inner(a, &run, &run + 1, packed + (long(p) * depth + begin) * P::panel);
      }
      tile.store_rows(at, P::panel);
    });
  }
}

/// sums = dy w for some panels. Exact: in blocks, combined as a tree of `sums` arrays.
template <Linear l>
inline void linear_data_strip(const float* packed_dy, const float* w, int first, int panels,
                              float* packed_w, float* sums) {
  using P = LinearGradientPlan<l>;
  constexpr int leaves = max_of(1, l.exact_blocks);
  constexpr long level_size = long(l.batch) * P::strip * P::panel;
  int level = 0;
  for (int leaf = 0; leaf < leaves; ++leaf, ++level) {
    const int leaf_begin = share(l.out_features, leaf, leaves);
    const int leaf_end = share(l.out_features, leaf + 1, leaves);
    float* leaf_sums = sums + level * level_size;
    if (leaf_begin == leaf_end)
      zero_floats(leaf_sums, level_size);
    for (int begin = leaf_begin; begin < leaf_end; begin += linear_depth) {
      const int depth = min_of(linear_depth, leaf_end - begin);
      pack_columns<l>(w + long(begin) * l.in_features, depth, first, panels, long(depth) * P::panel,
                      packed_w);
      const int next = min_of(linear_depth, l.out_features - begin - depth);
      const int columns = min_of(panels * P::panel, l.in_features - first * P::panel);
      Ahead ahead{w + long(begin + depth) * l.in_features + first * P::panel, next, columns};
      linear_data_block<l>(packed_dy + long(begin) * l.batch, packed_w, panels, depth,
                           begin > leaf_begin, ahead, leaf_sums);
    }
    for (int bits = leaf; bits & 1; bits >>= 1, --level) {
      float* left = sums + (level - 1) * level_size;
      for (long i = 0; i < level_size; ++i)
        left[i] = left[i] + left[i + level_size];
    }
  }
}

/// Packs dy as [block of output features][sample][feature of the block]: rows of dy itself may be
/// a power of two apart, which caches do not hold well.
template <Linear l>
inline void pack_output_gradients(const float* dy, float* packed, const Thread& thread) {
  constexpr int leaves = max_of(1, l.exact_blocks);
  for (int leaf = 0; leaf < leaves; ++leaf) {
    const int leaf_end = share(l.out_features, leaf + 1, leaves);
    for (int begin = share(l.out_features, leaf, leaves); begin < leaf_end; begin += linear_depth) {
      const int depth = min_of(linear_depth, leaf_end - begin);
      for (int n = thread.index; n < l.batch; n += thread.count)
        copy_floats(packed + long(begin) * l.batch + long(n) * depth,
                    dy + long(n) * l.out_features + begin, depth);
    }
  }
}

/// dx = dy w, then epilogue. Workspace: linear_data_gradient_workspace(l, thread.count) bytes.
template <Linear l, class Epilogue = NoEpilogue>
inline void linear_data_gradient(const float* dy, const float* w, float* dx, float* workspace,
                                 const Epilogue& epilogue, const Thread& thread) {
  using P = LinearGradientPlan<l>;
  constexpr long lanes = P::strip * P::panel, packed_w_size = linear_depth * lanes;
  constexpr long own_size = packed_w_size + tree_levels(l.exact_blocks) * l.batch * lanes;
  float* packed_w =
      workspace + round_up(long(l.batch) * l.out_features, 16) + thread.index * own_size;
  float* sums = packed_w + packed_w_size;
  pack_output_gradients<l>(dy, workspace, thread);
  thread.barrier();
  const int last = share(P::panels, thread.index + 1, thread.count);
  for (int first = share(P::panels, thread.index, thread.count); first < last; first += P::strip) {
    const int panels = min_of(P::strip, last - first);
    linear_data_strip<l>(workspace, w, first, panels, packed_w, sums);
    const int i0 = first * P::panel, count = min_of(panels * P::panel, l.in_features - i0);
    for (long n = 0; n < l.batch; ++n) {
      float* row = dx + n * l.in_features + i0;
      copy_floats(row, sums + n * lanes, count);
      epilogue(row, n, i0, count);
    }
  }
}

/// Rows [o, o + rows) of dw for one panel, over the whole batch. `dy` is
/// [sample][linear_row_block].
template <Linear l, int rows>
inline void linear_weight_tile(const float* dy, const float* packed, long o, int panel, float* dw) {
  using P = LinearGradientPlan<l>;
  using Sums = Tile<rows, P::tile.vectors>;
  const auto sum_block = [&](int begin, int end) __attribute__((always_inline)) {
    Sums s;
    s.clear();
    s.outer(dy + begin * linear_row_block, 1, 0, end - begin, linear_row_block,
            packed + begin * P::panel);
    return s;
  };
  const auto row = [&](int r) { return dw + (o + r) * l.in_features + panel * P::panel; };
  const int count = min_of(P::panel, l.in_features - panel * P::panel);
  if constexpr (l.exact_blocks > 0) {
    const Sums sum = tree_sum<Sums>(l.exact_blocks, [&](int leaf) {
      return sum_block(share(l.batch, leaf, l.exact_blocks),
                       share(l.batch, leaf + 1, l.exact_blocks));
    });
    sum.store_rows(row, count);
  } else {
    sum_block(0, l.batch).store_rows(row, count);
  }
}

/// dw = dy^T x. Workspace: linear_weight_gradient_workspace(l, thread.count) bytes.
template <Linear l>
inline void linear_weight_gradient(const float* x, const float* dy, float* dw, float* workspace,
                                   const Thread& thread) {
  using P = LinearGradientPlan<l>;
  constexpr long panel_floats = long(l.batch) * P::panel;
  for (int p = thread.index; p < P::panels; p += thread.count)
    pack_columns<l>(x, l.batch, p, 1, 0, workspace + p * panel_floats);
  thread.barrier();
  float* own_dy =
      workspace + P::panels * panel_floats + thread.index * long(l.batch) * linear_row_block;
  const int strip = max_of(1, l2_floats / panel_floats);
  const int first = share(l.out_features, thread.index, thread.count);
  const int last = share(l.out_features, thread.index + 1, thread.count);
  for (int p0 = 0; p0 < P::panels; p0 += strip)
    for (int o0 = first; o0 < last; o0 += linear_row_block) {
      const int count = min_of(linear_row_block, last - o0);
      for (long n = 0; n < l.batch; ++n)
        copy_floats(own_dy + n * linear_row_block, dy + n * l.out_features + o0, count);
      for (int p = p0; p < min_of(P::panels, p0 + strip); ++p)
        for (int o = 0; o < count; o += P::tile.rows)
          with_rows<P::tile.rows>(min_of(P::tile.rows, count - o), [&](auto rows) {
            linear_weight_tile<l, rows.value>(own_dy + o, workspace + p * panel_floats, o0 + o, p,
                                              dw);
          });
    }
}

} // namespace netc
