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
  static constexpr int strip = ceil_div(linear_strip, panel); ///< Panels packed together.
};

/// Packs `rows` rows of a panel of a matrix with l.in_features columns as [row][panel], with
/// zeros for columns that do not exist.
template <Linear l> inline void pack_columns(const float* from, int rows, int panel, float* to) {
  constexpr int width = LinearGradientPlan<l>::panel;
  const int count = min_of(width, l.in_features - panel * width);
  from += panel * width;
  for (int r = 0; r < rows; ++r, from += l.in_features, to += width) {
    if (count == width)
      copy_floats(to, from, width);
    else
      for (int i = 0; i < width; ++i)
        to[i] = i < count ? from[i] : 0;
  }
}

/// dx of some samples and one panel (+)= the products over the output features of a block, whose
/// weights are packed.
template <Linear l, int rows>
inline void linear_data_tile(const float* dy, const float* packed, long n, int panel, int begin,
                             int end, float* dx) {
  using P = LinearGradientPlan<l>;
  using Sums = Tile<rows, P::tile.vectors>;
  const float* a[rows];
  for (int r = 0; r < rows; ++r)
    a[r] = dy + (n + r) * l.out_features;
  const int count = min_of(P::panel, l.in_features - panel * P::panel);
  const auto row = [&](int r) { return dx + (n + r) * l.in_features + panel * P::panel; };
  if constexpr (l.exact_blocks > 0) {
    const Sums sum = tree_sum<Sums>(l.exact_blocks, [&](int leaf) {
      const Run run{int(share(l.out_features, leaf, l.exact_blocks)),
                    int(share(l.out_features, leaf + 1, l.exact_blocks))};
      Sums s;
      s.clear();
      s.inner(a, &run, &run + 1, packed + long(run.begin) * P::panel);
      return s;
    });
    sum.store_rows(row, count);
  } else {
    const Run run{begin, end};
    Sums sum;
    if (begin == 0)
      sum.clear();
    else
      sum.load_rows(row, count);
    sum.inner(a, &run, &run + 1, packed);
    sum.store_rows(row, count);
  }
}

/// dx = dy w, then epilogue. Workspace: linear_data_gradient_workspace(l, thread.count) bytes.
template <Linear l, class Epilogue = NoEpilogue>
inline void linear_data_gradient(const float* dy, const float* w, float* dx, float* workspace,
                                 const Epilogue& epilogue, const Thread& thread) {
  using P = LinearGradientPlan<l>;
  constexpr int depth = l.exact_blocks > 0 ? l.out_features : linear_block;
  constexpr int blocks = ceil_div(l.out_features, depth);
  float* packed = workspace + thread.index * long(depth) * P::strip * P::panel;
  const int last = share(P::panels, thread.index + 1, thread.count);
  for (int first = share(P::panels, thread.index, thread.count); first < last; first += P::strip) {
    const int panels = min_of(P::strip, last - first);
    for (int block = 0; block < blocks; ++block) {
      const int begin = share(l.out_features, block, blocks);
      const int end = share(l.out_features, block + 1, blocks);
      for (int p = 0; p < panels; ++p) {
        float* b = packed + long(p) * depth * P::panel;
        pack_columns<l>(w + long(begin) * l.in_features, end - begin, first + p, b);
        for (int n = 0; n < l.batch; n += P::tile.rows)
          with_rows<P::tile.rows>(min_of(P::tile.rows, l.batch - n), [&](auto rows) {
            linear_data_tile<l, rows.value>(dy, b, n, first + p, begin, end, dx);
          });
      }
    }
    const int i0 = first * P::panel, count = min_of(panels * P::panel, l.in_features - i0);
    for (long n = 0; n < l.batch; ++n)
      epilogue(dx + n * l.in_features + i0, n, i0, count);
  }
}

/// dw of some output features and one panel, over the whole batch.
template <Linear l, int rows>
inline void linear_weight_tile(const float* dy, const float* packed, long o, int panel, float* dw) {
  using P = LinearGradientPlan<l>;
  using Sums = Tile<rows, P::tile.vectors>;
  constexpr int leaves = max_of(1, l.exact_blocks);
  const Sums sum = tree_sum<Sums>(leaves, [&](int leaf) {
    const int begin = share(l.batch, leaf, leaves), end = share(l.batch, leaf + 1, leaves);
    Sums s;
    s.clear();
    s.outer(dy + long(begin) * l.out_features + o, 1, 0, end - begin, l.out_features,
            packed + begin * P::panel);
    return s;
  });
  sum.store_rows([&](int r) { return dw + (o + r) * l.in_features + panel * P::panel; },
                 min_of(P::panel, l.in_features - panel * P::panel));
}

/// dw = dy^T x. Workspace: linear_weight_gradient_workspace(l, thread.count) bytes.
template <Linear l>
inline void linear_weight_gradient(const float* x, const float* dy, float* dw, float* workspace,
                                   const Thread& thread) {
  using P = LinearGradientPlan<l>;
  constexpr long panel_floats = long(l.batch) * P::panel;
  for (int p = thread.index; p < P::panels; p += thread.count)
    pack_columns<l>(x, l.batch, p, workspace + p * panel_floats);
  thread.barrier();
  constexpr int rows_together = 48; // Of dw, over one strip: pages that stay mapped.
  const int strip = max_of(1, l2_floats / panel_floats);
  const int first = share(l.out_features, thread.index, thread.count);
  const int last = share(l.out_features, thread.index + 1, thread.count);
  for (int p0 = 0; p0 < P::panels; p0 += strip)
    for (int o0 = first; o0 < last; o0 += rows_together)
      for (int p = p0; p < min_of(P::panels, p0 + strip); ++p)
        for (int o = o0, end = min_of(last, o0 + rows_together); o < end; o += P::tile.rows)
          with_rows<P::tile.rows>(min_of(P::tile.rows, end - o), [&](auto rows) {
            linear_weight_tile<l, rows.value>(dy, workspace + p * panel_floats, o, p, dw);
          });
}

} // namespace netc
