// Stochastic gradient descent with momentum and weight decay (Krizhevsky et al. 2012, section 5).

#include "ir/ops/common.h"

namespace netc::ops {

namespace {

using kernel::Access;
using kernel::load;

void infer_sgd(InferContext& c) {
  for (size_t i : {1u, 2u})
    if (c.operands[i] != c.operands[0])
      c.error(fmt::format("`{}` is {}, the parameter {}", c.op.operands[i].name,
                          c.operands[i].str(), c.operands[0].str()));
  c.results = {c.operands[0], c.operands[0]};
}

/// Elements one iteration of the parallel loop updates: long enough to stream, short enough to
/// spread over threads.
constexpr int64_t chunk = 16384;

kernel::Kernel sgd_kernel(const Node& node) {
  TensorType flat{DType::f32, {node.result()->type.elements()}};
  kernel::Kernel k{.name = node.name,
                   .params = {{"w", flat, Layout::row_major, Access::in},
                              {"g", flat, Layout::row_major, Access::in},
                              {"v", flat, Layout::row_major, Access::in},
                              {"rate", {DType::f32, {1}}, Layout::row_major, Access::in},
                              {"w_next", flat, Layout::row_major, Access::out},
                              {"v_next", flat, Layout::row_major, Access::out}},
                   .body = {}};
  int64_t count = flat.elements();
  Body body;
  body.loop(StmtKind::parallel, "part", 0, (count + chunk - 1) / chunk, [&](Expr part, Body& b) {
    Expr begin = part * Expr(chunk);
    Expr rate = b.let("step", load("rate", DType::f32, {Expr(0)}) * Expr(node.attrs.real("rate")));
    Expr shrink = b.let("shrink", rate * Expr(node.attrs.real("decay")));
    b.loop(StmtKind::lanes, "i", begin, min(begin + Expr(chunk), Expr(count)),
           [&](Expr i, Body& l) {
             Expr w = load("w", DType::f32, {i});
             Expr v = l.let("v1", Expr(node.attrs.real("momentum")) * load("v", DType::f32, {i}) -
                                      shrink * w - rate * load("g", DType::f32, {i}));
             l.store("v_next", {i}, v);
             l.store("w_next", {i}, w + v);
           });
  });
  k.body = body.take();
  return k;
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
    .factors = map_factors,
    .lower = KernelLowering{sgd_kernel},
    .reference = sgd_reference,
    .in_place = {{0, 0}, {2, 1}}};

} // namespace netc::ops
