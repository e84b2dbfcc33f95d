// Stochastic gradient descent with momentum and weight decay (Krizhevsky et al. 2012, section 5).

#include "ir/ops/common.h"

namespace netc::ops {

namespace {

void infer_sgd(InferContext& c) {
  for (size_t i : {1u, 2u})
    if (c.operands[i] != c.operands[0])
      c.error(fmt::format("`{}` is {}, the parameter {}", c.op.operands[i].name,
                          c.operands[i].str(), c.operands[0].str()));
  c.results = {c.operands[0], c.operands[0]};
}

std::vector<Expr> sgd_elements(MapContext& c, Body& lane) {
  const Attributes& attrs = c.node.attrs;
  Expr w = c.operand(0), rate = lane.let("step", c.operand(3) * Expr(attrs.real("rate")));
  Expr shrink = lane.let("shrink", rate * Expr(attrs.real("decay")));
  Expr v = lane.let("momentum",
                    Expr(attrs.real("momentum")) * c.operand(2) - shrink * w - rate * c.operand(1));
  return {w + v, v};
}

void sgd_reference(RefContext& c) {
  const auto &w = c.operands[0]->data, &g = c.operands[1]->data, &v = c.operands[2]->data;
  double rate = c.operands[3]->data[0] * c.node.attrs.real("rate");
  for (size_t i = 0; i < w.size(); ++i) {
    double next = c.node.attrs.real("momentum") * v[i] - c.node.attrs.real("decay") * rate * w[i] -
                  rate * g[i];
    c.results[1].data[i] = next;
    c.results[0].data[i] = w[i] + next;
  }
}

/// Parameters are cut along any dimension; the rate is a number.
std::vector<Factor> parameter_factors(const Node& node) {
  const Shape& shape = node.result()->type.shape;
  std::vector<Factor> factors;
  for (size_t d = 0; d < shape.size(); ++d) {
    const int dim = static_cast<int>(d);
    factors.push_back(
        {fmt::format("dim{}", d), shape[d], FactorKind::parallel, {dim, dim, dim, -1}, {dim, dim}});
  }
  return factors;
}

AttrDef real_attr(const char* name, const char* doc) {
  return {.name = name, .kind = AttrKind::real, .doc = doc, .min = 0};
}

} // namespace

const OpDef sgd_update{
    .name = "sgd_update",
    .doc = "v' = momentum v - decay e w - e g and w' = w + v' with e = learning rate x `rate`.",
    .operands = {{"w", "the parameter"},
                 {"g", "its gradient, averaged over the batch"},
                 {"v", "its momentum"},
                 {"rate", "[1], learning rate of this step"}},
    .attrs = {real_attr("momentum", "share of the last update that is kept"),
              real_attr("decay", "weight decay, the parameter's multiplier included"),
              real_attr("rate", "the parameter's learning-rate multiplier")},
    .results = {{"", "the updated parameter"}, {"momentum", "the updated momentum"}},
    .infer = infer_sgd,
    .flops = flops_per_element<6>,
    .factors = parameter_factors,
    .lower = UpdateLowering{sgd_elements},
    .reference = sgd_reference,
    .in_place = {{0, 0}, {2, 1}}};

} // namespace netc::ops
