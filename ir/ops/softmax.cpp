// Softmax over channels.

#include "ir/ops/softmax.h"

#include <algorithm>
#include <cmath>

namespace netc::ops {

namespace {

using kernel::call;
using kernel::load;

void infer_softmax(InferContext& c) {
  if (c.expect_rank(0, {2, 4}))
    infer_all_same(c);
}

void softmax_pixel(PixelContext& c) {
  int64_t channels = c.node.result()->type.shape[1];
  std::string exps = c.local("exps"), i = c.local("i");
  c.body.alloc(exps, DType::f32, channels);
  Expr largest =
      c.body.reduce(c.local("largest"), "max", i, 0, channels, c.here(0, kernel::var(i)), true);
  c.body.loop(StmtKind::lanes, c.local("c"), 0, channels, [&](Expr ch, Body& l) {
    l.store(exps, {ch}, call("exp", {c.here(0, ch) - largest}));
  });
  Expr sum = c.body.reduce(c.local("sum"), "+", i, 0, channels,
                           load(exps, DType::f32, {kernel::var(i)}), true);
  Expr weight = c.body.let(c.local("weight"), Expr(1.0) / sum);
  c.body.loop(StmtKind::lanes, c.local("c"), 0, channels,
              [&](Expr ch, Body& l) { c.store(l, 0, ch, load(exps, DType::f32, {ch}) * weight); });
}

/// dx = y (dy - sum of dy y).
void softmax_grad_pixel(PixelContext& c) {
  int64_t channels = c.node.result()->type.shape[1];
  std::string i = c.local("i");
  Expr dot = c.body.reduce(c.local("dot"), "+", i, 0, channels,
                           c.here(0, kernel::var(i)) * c.here(1, kernel::var(i)), true);
  c.body.loop(StmtKind::lanes, c.local("c"), 0, channels,
              [&](Expr ch, Body& l) { c.store(l, 0, ch, c.here(1, ch) * (c.here(0, ch) - dot)); });
}

/// Calls fn(indices of the channels of a pixel) for every pixel.
template <class Fn> void for_each_pixel(const Shape& shape, Fn fn) {
  int64_t plane = shape.size() == 4 ? shape[2] * shape[3] : 1;
  std::vector<size_t> indices(static_cast<size_t>(shape[1]));
  for (int64_t n = 0; n < shape[0]; ++n)
    for (int64_t q = 0; q < plane; ++q) {
      for (int64_t ch = 0; ch < shape[1]; ++ch)
        indices[static_cast<size_t>(ch)] = static_cast<size_t>((n * shape[1] + ch) * plane + q);
      fn(indices);
    }
}

void softmax_reference(RefContext& c) {
  const auto& x = c.operands[0]->data;
  auto& y = c.results[0].data;
  for_each_pixel(c.results[0].type.shape,
                 [&](const std::vector<size_t>& channels) { softmax_values(x, channels, y); });
}

void softmax_grad_reference(RefContext& c) {
  const auto &dy = c.operands[0]->data, &y = c.operands[1]->data;
  for_each_pixel(c.results[0].type.shape, [&](const std::vector<size_t>& channels) {
    double dot = 0;
    for (size_t i : channels)
      dot += dy[i] * y[i];
    for (size_t i : channels)
      c.results[0].data[i] = y[i] * (dy[i] - dot);
  });
}

} // namespace

void softmax_values(const std::vector<double>& x, const std::vector<size_t>& channels,
                    std::vector<double>& y) {
  double largest = x[channels[0]], sum = 0;
  for (size_t i : channels)
    largest = std::max(largest, x[i]);
  for (size_t i : channels)
    sum += y[i] = std::exp(x[i] - largest);
  for (size_t i : channels)
    y[i] /= sum;
}

const OpDef softmax{.name = "softmax",
                    .doc = "exp(x_i) / sum over channels j of exp(x_j), computed from x minus its "
                           "maximum.",
                    .operands = {{"x", "[n, c] or [n, c, h, w]"}},
                    .attrs = {},
                    .results = {{"", "as x; each pixel's channels sum to 1"}},
                    .infer = infer_softmax,
                    .vjp = [](VjpContext& c) -> std::vector<Value*> {
                      return {c.builder.value(softmax_grad, c.node.name + ".grad",
                                              {c.cotangents[0], c.node.result()})};
                    },
                    .flops = flops_per_element<5>,
                    .factors = pixel_factors,
                    .lower = PixelLowering{softmax_pixel},
                    .reference = softmax_reference,
                    .layer = LayerDef{}};

const OpDef softmax_grad{.name = "softmax_grad",
                         .doc = "Cotangent of softmax's operand from its result.",
                         .operands = {{"dy", "cotangent of the result"}, {"y", "the result"}},
                         .attrs = {},
                         .results = {{"", "as y"}},
                         .infer = infer_softmax,
                         .flops = flops_per_element<4>,
                         .factors = pixel_factors,
                         .lower = PixelLowering{softmax_grad_pixel},
                         .reference = softmax_grad_reference};

} // namespace netc::ops
