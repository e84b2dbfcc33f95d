#pragma once
// Fully connected layers: y = x w^T as a tiled product; a row is a sample, a column an output
// feature, the depth runs over the input features.

#include "codegen/device/cuda/tile.h"

namespace netc {

template <Linear l, class Epilogue>
struct LinearForward
    : TiledProduct<l.batch, l.out_features, 1, max_of(1, l.exact_blocks), true, true> {
  const float* x;
  const float* w;
  float* y;
  const Epilogue& epilogue;

  LinearForward(const float* x, const float* w, float* y, const Epilogue& epilogue)
      : x(x), w(w), y(y), epilogue(epilogue) {}

  static LeafRange features(int leaf) {
    return leaf_range<l.in_features, max_of(1, l.exact_blocks)>(leaf);
  }
  int depth(int leaf) const { return features(leaf).count; }
  float row_element(int /*group*/, int leaf, int k, int sample) const {
    return x[long(sample) * l.in_features + features(leaf).first + k];
  }
  float column_element(int /*group*/, int leaf, int k, int feature) const {
    return w[long(feature) * l.in_features + features(leaf).first + k];
  }
  void finish(int /*group*/, int sample, int feature, int count, const float* sums) const {
    float* to = y + long(sample) * l.out_features + feature;
    for (int i = 0; i < count; ++i)
      to[i] = sums[i];
    epilogue(to, sample, feature, count);
  }
};

/// y = x w^T, then epilogue. No workspace.
template <Linear l, class Epilogue = NoEpilogue>
void linear_forward(const float* x, const float* w, float* y, float* /*workspace*/,
                    const Epilogue& epilogue) {
  tiled_product(LinearForward<l, Epilogue>(x, w, y, epilogue));
}

/// The same: the name under which CPUs treat small batches.
template <Linear l, class Epilogue = NoEpilogue>
void linear_forward_dot(const float* x, const float* w, float* y, float* workspace,
                        const Epilogue& epilogue) {
  linear_forward<l>(x, w, y, workspace, epilogue);
}

} // namespace netc
