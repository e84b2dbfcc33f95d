#pragma once
// Gradients of fully connected layers as tiled products; columns are input features, which are
// consecutive in the weights and in the inputs.

#include "codegen/device/cuda/tile.h"

namespace netc {

/// Rows are samples, the depth runs over the output features.
template <Linear l, class Epilogue>
struct LinearDataGradient
    : TiledProduct<l.batch, l.in_features, 1, max_of(1, l.exact_blocks), true, false> {
  const float* dy;
  const float* w;
  float* dx;
  const Epilogue& epilogue;

  LinearDataGradient(const float* dy, const float* w, float* dx, const Epilogue& epilogue)
      : dy(dy), w(w), dx(dx), epilogue(epilogue) {}

  static LeafRange features(int leaf) {
    return leaf_range<l.out_features, max_of(1, l.exact_blocks)>(leaf);
  }
  int depth(int leaf) const { return features(leaf).count; }
  float row_element(int /*group*/, int leaf, int k, int sample) const {
    return dy[long(sample) * l.out_features + features(leaf).first + k];
  }
  float column_element(int /*group*/, int leaf, int k, int feature) const {
    return w[long(features(leaf).first + k) * l.in_features + feature];
  }
  void finish(int /*group*/, int sample, int feature, int count, const float* sums) const {
    float* to = dx + long(sample) * l.in_features + feature;
    for (int i = 0; i < count; ++i)
      to[i] = sums[i];
    epilogue(to, sample, feature, count);
  }
};

/// Rows are output features, the depth runs over the batch.
template <Linear l>
struct LinearWeightGradient
    : TiledProduct<l.out_features, l.in_features, 1, max_of(1, l.exact_blocks), false, false> {
  const float* x;
  const float* dy;
  float* dw;

  LinearWeightGradient(const float* x, const float* dy, float* dw) : x(x), dy(dy), dw(dw) {}

  static LeafRange samples(int leaf) {
    return leaf_range<l.batch, max_of(1, l.exact_blocks)>(leaf);
  }
  int depth(int leaf) const { return samples(leaf).count; }
  float row_element(int /*group*/, int leaf, int k, int out) const {
    return dy[long(samples(leaf).first + k) * l.out_features + out];
  }
  float column_element(int /*group*/, int leaf, int k, int in) const {
    return x[long(samples(leaf).first + k) * l.in_features + in];
  }
  void finish(int /*group*/, int out, int in, int count, const float* sums) const {
    float* to = dw + long(out) * l.in_features + in;
    for (int i = 0; i < count; ++i)
      to[i] = sums[i];
  }
};

/// dx = dy w, then epilogue. No workspace.
template <Linear l, class Epilogue = NoEpilogue>
void linear_data_gradient(const float* dy, const float* w, float* dx, float* /*workspace*/,
                          const Epilogue& epilogue) {
  tiled_product(LinearDataGradient<l, Epilogue>(dy, w, dx, epilogue));
}

/// dw = dy^T x. No workspace.
template <Linear l>
void linear_weight_gradient(const float* x, const float* dy, float* dw, float* /*workspace*/) {
  tiled_product(LinearWeightGradient<l>(x, dy, dw));
}

} // namespace netc
