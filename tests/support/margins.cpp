#include "tests/support/margins.h"

#include "ir/ops.h"
#include "ir/ops/common.h"

#include <algorithm>
#include <cmath>

namespace netc::test {

namespace {

double relu_margin(const RefTensor& x) {
  double margin = INFINITY;
  for (double value : x.data)
    if (value != 0)
      margin = std::min(margin, std::abs(value));
  return margin;
}

/// Largest minus second largest of the different numbers in a window.
double window_margin(const ops::Window& window, const RefTensor& x, int64_t n, int64_t c,
                     int64_t oh, int64_t ow) {
  const Shape& s = x.type.shape;
  double best = -INFINITY, second = -INFINITY;
  for (int64_t r = 0; r < window.kernel_h; ++r)
    for (int64_t q = 0; q < window.kernel_w; ++q) {
      int64_t h = oh * window.stride_h - window.top + r, w = ow * window.stride_w - window.left + q;
      if (h < 0 || h >= s[2] || w < 0 || w >= s[3])
        continue;
      double value = x.data[ops::at4(s, n, c, h, w)];
      if (value > best)
        second = best, best = value;
      else if (value < best)
        second = std::max(second, value);
    }
  return best - second;
}

} // namespace

double smallest_margin(const Graph& graph,
                       const std::unordered_map<const Value*, RefTensor>& values) {
  double margin = INFINITY;
  for (const auto& node : graph.nodes) {
    if (node->op == &ops::relu)
      margin = std::min(margin, relu_margin(values.at(node->operands[0])));
    if (node->op == &ops::max_pool2d) {
      const RefTensor& x = values.at(node->operands[0]);
      ops::Window window = ops::window_of(node->attrs);
      ops::for_each4(node->result()->type.shape, [&](int64_t n, int64_t c, int64_t oh, int64_t ow) {
        margin = std::min(margin, window_margin(window, x, n, c, oh, ow));
      });
    }
  }
  return margin;
}

} // namespace netc::test
