#pragma once
// Fully connected layers: y = x w^T and its gradients.

#include "codegen/device/cpu/contraction_shape.h"
#include "codegen/device/cpu/tile.h"
#include "ir/kernel_abi.h"

namespace netc {

/// Constants of linear_forward: lanes are samples, rows are output features.
template <Linear l> struct LinearForwardPlan {
  static constexpr RegisterTile tile = linear_forward_tile(l, vector_length);
  static constexpr int panel = tile.vectors * vector_length;
  static constexpr long lanes = linear_forward_lanes(l, vector_length);
  static constexpr int panels = lanes / panel;
  static constexpr int depth = l2_floats / panel; ///< Input features of a block.
};

/// Packs x^T as [panel][input feature][sample], with zeros for samples that do not exist.
template <Linear l>
inline void pack_transposed(const float* x, float* packed, const Thread& thread) {
  using P = LinearForwardPlan<l>;
  constexpr int strip = 64;
  for (long i0 = long(thread.index) * strip; i0 < l.in_features; i0 += long(thread.count) * strip) {
    const long end = min_of(l.in_features, i0 + strip);
    for (long n = 0; n < P::lanes; ++n) {
      float* to = packed + n / P::panel * l.in_features * P::panel + n % P::panel;
      for (long i = i0; i < end; ++i)
        to[i * P::panel] = n < l.batch ? x[n * l.in_features + i] : 0;
    }
  }
}

/// sums[output feature][sample] (+)= the products over the input features of a block.
template <Linear l, int rows>
inline void linear_forward_tile_sum(const float* w, const float* packed, long o, int panel,
                                    int begin, int end, float* sums) {
  using P = LinearForwardPlan<l>;
  using Sums = Tile<rows, P::tile.vectors>;
  const float* a[rows];
  for (int r = 0; r < rows; ++r)
    a[r] = w + (o + r) * l.in_features;
  const float* b = packed + long(panel) * l.in_features * P::panel;
  const auto row = [&](int r) { return sums + (o + r) * P::lanes + panel * P::panel; };
  if constexpr (l.exact_blocks > 0) {
    const Sums sum = tree_sum<Sums>(l.exact_blocks, [&](int leaf) {
      const Run run{int(share(l.in_features, leaf, l.exact_blocks)),
                    int(share(l.in_features, leaf + 1, l.exact_blocks))};
      Sums s;
      s.clear();
      s.inner(a, &run, &run + 1, b + long(run.begin) * P::panel);
      return s;
    });
    sum.store_rows(row, P::panel);
  } else {
    // A block is summed by itself: one chain over all features rounds more than twice as much.
    const Run run{begin, end};
    Sums sum;
    sum.clear();
    sum.inner(a, &run, &run + 1, b + long(begin) * P::panel);
    if (begin > 0) {
      Sums before;
      before.load_rows(row, P::panel);
      sum = before + sum;
    }
    sum.store_rows(row, P::panel);
  }
}

/// y = x w^T, then epilogue, for batches of at least a vector. Workspace:
/// linear_forward_workspace(l, thread.count) bytes.
template <Linear l, class Epilogue = NoEpilogue>
inline void linear_forward(const float* x, const float* w, float* y, float* workspace,
                           const Epilogue& epilogue, const Thread& thread) {
  using P = LinearForwardPlan<l>;
  constexpr int depth = l.exact_blocks > 0 ? l.in_features : P::depth;
  constexpr int blocks = ceil_div(l.in_features, depth);
  float* sums = workspace + P::lanes * l.in_features;
  pack_transposed<l>(x, workspace, thread);
  thread.barrier();
  const int first = share(l.out_features, thread.index, thread.count);
  const int last = share(l.out_features, thread.index + 1, thread.count);
  for (int block = 0; block < blocks; ++block)
    for (int o = first; o < last; o += P::tile.rows)
      for (int panel = 0; panel < P::panels; ++panel)
        with_rows<P::tile.rows>(min_of(P::tile.rows, last - o), [&](auto rows) {
          linear_forward_tile_sum<l, rows.value>(w, workspace, o, panel,
                                                 share(l.in_features, block, blocks),
                                                 share(l.in_features, block + 1, blocks), sums);
        });
  constexpr int strip = 64;
  for (int o0 = first; o0 < last; o0 += strip) {
    const int count = min_of(strip, last - o0);
    for (int n = 0; n < l.batch; ++n) {
      float* row = y + long(n) * l.out_features + o0;
      for (int o = 0; o < count; ++o)
        row[o] = sums[(o0 + o) * P::lanes + n];
      epilogue(row, n, o0, count);
    }
  }
}

/// sums[r] = the product of w[r] and x over [begin, end): two vectors of sums, then their lanes
/// in order, then the floats that fill no vector.
template <int rows>
inline void dot_products(const float* const (&w)[rows], const float* x, long begin, long end,
                         float (&sums)[rows]) {
  Vector sum[rows][2] = {};
  long i = begin;
  for (; i + 2 * vector_length <= end; i += 2 * vector_length)
    unroll<rows>([&](auto r) __attribute__((always_inline)) {
      sum[r.value][0] += load(w[r.value] + i) * load(x + i);
      sum[r.value][1] += load(w[r.value] + i + vector_length) * load(x + i + vector_length);
    });
  for (int r = 0; r < rows; ++r) {
    const Vector lanes = sum[r][0] + sum[r][1];
    sums[r] = 0;
    for (int k = 0; k < vector_length; ++k)
      sums[r] += lanes[k];
    // Explicitly fused: compilers may decide otherwise for each number of rows.
    for (int k = 0; k < int(end - i); ++k)
      sums[r] = __builtin_fmaf(w[r][i + k], x[i + k], sums[r]);
  }
}

/// A few floats, for tree_sum.
template <int rows> struct RowSums {
  float at[rows];
  RowSums operator+(const RowSums& other) const {
    RowSums f;
    for (int r = 0; r < rows; ++r)
      f.at[r] = at[r] + other.at[r];
    return f;
  }
};

/// y = x w^T, then epilogue, for small batches: every weight is read once and not packed. No
/// workspace.
template <Linear l, class Epilogue = NoEpilogue>
inline void linear_forward_dot(const float* x, const float* w, float* y, float* /*workspace*/,
                               const Epilogue& epilogue, const Thread& thread) {
  constexpr int tile = 4, strip = 64;
  constexpr int leaves = max_of(1, l.exact_blocks);
  const int first = share(l.out_features, thread.index, thread.count);
  const int last = share(l.out_features, thread.index + 1, thread.count);
  for (int o0 = first; o0 < last; o0 += strip) {
    const int count = min_of(strip, last - o0);
    for (int o = o0; o < o0 + count; o += tile)
      with_rows<tile>(min_of(tile, o0 + count - o), [&](auto rows) {
        const float* a[rows.value];
        for (int r = 0; r < rows.value; ++r)
          a[r] = w + long(o + r) * l.in_features;
        for (long n = 0; n < l.batch; ++n) {
          const auto sums = tree_sum<RowSums<rows.value>>(leaves, [&](int leaf) {
            RowSums<rows.value> f;
            dot_products(a, x + n * l.in_features, share(l.in_features, leaf, leaves),
                         share(l.in_features, leaf + 1, leaves), f.at);
            return f;
          });
          for (int r = 0; r < rows.value; ++r)
            y[n * l.out_features + o + r] = sums.at[r];
        }
      });
    for (long n = 0; n < l.batch; ++n)
      epilogue(y + n * l.out_features + o0, n, o0, count);
  }
}

} // namespace netc
