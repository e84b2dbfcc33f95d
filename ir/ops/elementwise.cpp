// Activations and other element-by-element operators. A gradient reads the operator's result, so
// that the operand need not be kept.

#include "ir/ops/common.h"

#include <cmath>

namespace netc::ops {

namespace {

using kernel::call;
using kernel::select;

// Written so that a NaN passes through instead of turning into 0.
Expr relu_map(MapContext& c) {
  return select(c.operand(0) < Expr(0.0), Expr(0.0), c.operand(0));
}
Expr relu_grad_map(MapContext& c) {
  return select(c.operand(1) > Expr(0.0), c.operand(0), Expr(0.0));
}
Expr tanh_map(MapContext& c) {
  return call("tanh", {c.operand(0)});
}
Expr tanh_grad_map(MapContext& c) {
  return c.operand(0) * (Expr(1.0) - c.operand(1) * c.operand(1));
}
Expr sigmoid_map(MapContext& c) {
  return Expr(1.0) / (Expr(1.0) + call("exp", {Expr(0.0) - c.operand(0)}));
}
Expr sigmoid_grad_map(MapContext& c) {
  return c.operand(0) * c.operand(1) * (Expr(1.0) - c.operand(1));
}
Expr scale_map(MapContext& c) {
  return c.operand(0) * Expr(c.node.attrs.real("factor"));
}
Expr add_map(MapContext& c) {
  Expr sum = c.operand(0);
  for (size_t i = 1; i < c.node.operands.size(); ++i)
    sum = sum + c.operand(i);
  return sum;
}

template <double (*fn)(double)> void unary_reference(RefContext& c) {
  for (size_t i = 0; i < c.results[0].data.size(); ++i)
    c.results[0].data[i] = fn(c.operands[0]->data[i]);
}
template <double (*fn)(double dy, double y)> void grad_reference(RefContext& c) {
  for (size_t i = 0; i < c.results[0].data.size(); ++i)
    c.results[0].data[i] = fn(c.operands[0]->data[i], c.operands[1]->data[i]);
}

double relu_value(double x) {
  return x < 0 ? 0 : x;
}
double relu_slope(double dy, double y) {
  return y > 0 ? dy : 0;
}
double tanh_value(double x) {
  return std::tanh(x);
}
double tanh_slope(double dy, double y) {
  return dy * (1 - y * y);
}
double sigmoid_value(double x) {
  return 1 / (1 + std::exp(-x));
}
double sigmoid_slope(double dy, double y) {
  return dy * y * (1 - y);
}

template <const OpDef& grad> std::vector<Value*> activation_vjp(VjpContext& c) {
  return {c.builder.value(grad, c.node.name + ".grad", {c.cotangents[0], c.node.result()})};
}

OpDef activation(std::string name, std::string doc, MapFn map, void (*reference)(RefContext&),
                 std::vector<Value*> (*vjp)(VjpContext&)) {
  return {.name = std::move(name),
          .doc = std::move(doc),
          .operands = {{"x", "any tensor"}},
          .attrs = {},
          .results = {{"", "of the same shape"}},
          .infer = infer_same,
          .vjp = vjp,
          .flops = flops_per_element<1>,
          .factors = map_factors,
          .lower = MapLowering{map},
          .reference = reference,
          .layer = LayerDef{},
          .in_place = {{0, 0}}};
}

OpDef activation_grad(std::string name, std::string doc, MapFn map,
                      void (*reference)(RefContext&)) {
  return {.name = std::move(name),
          .doc = std::move(doc),
          .operands = {{"dy", "cotangent of the result"}, {"y", "the result"}},
          .attrs = {},
          .results = {{"", "cotangent of the operand"}},
          .infer = infer_all_same,
          .flops = flops_per_element<2>,
          .factors = map_factors,
          .lower = MapLowering{map},
          .reference = reference,
          .in_place = {{0, 0}, {1, 0}}};
}

std::vector<Value*> scale_vjp(VjpContext& c) {
  return {c.builder.value(scale, c.node.name + ".grad", {c.cotangents[0]}, c.node.attrs)};
}

void scale_reference(RefContext& c) {
  for (size_t i = 0; i < c.results[0].data.size(); ++i)
    c.results[0].data[i] = c.operands[0]->data[i] * c.node.attrs.real("factor");
}

Value* scale_simplify(GraphBuilder&, const Node& node) {
  return node.attrs.real("factor") == 1 ? node.operands[0] : nullptr;
}

std::vector<Value*> add_vjp(VjpContext& c) {
  return std::vector<Value*>(c.node.operands.size(), c.cotangents[0]);
}

void add_reference(RefContext& c) {
  for (const RefTensor* operand : c.operands)
    for (size_t i = 0; i < operand->data.size(); ++i)
      c.results[0].data[i] += operand->data[i];
}

Value* add_simplify(GraphBuilder&, const Node& node) {
  return node.operands.size() == 1 ? node.operands[0] : nullptr;
}

} // namespace

const OpDef relu = activation("relu", "max(x, 0) (Nair and Hinton 2010).", relu_map,
                              unary_reference<relu_value>, activation_vjp<relu_grad>);
const OpDef relu_grad = activation_grad("relu_grad", "dy where y > 0, else 0.", relu_grad_map,
                                        grad_reference<relu_slope>);
const OpDef tanh = activation("tanh", "Hyperbolic tangent.", tanh_map, unary_reference<tanh_value>,
                              activation_vjp<tanh_grad>);
const OpDef tanh_grad =
    activation_grad("tanh_grad", "dy (1 - y^2).", tanh_grad_map, grad_reference<tanh_slope>);
const OpDef sigmoid = activation("sigmoid", "1 / (1 + exp(-x)).", sigmoid_map,
                                 unary_reference<sigmoid_value>, activation_vjp<sigmoid_grad>);
const OpDef sigmoid_grad = activation_grad("sigmoid_grad", "dy y (1 - y).", sigmoid_grad_map,
                                           grad_reference<sigmoid_slope>);

const OpDef scale{.name = "scale",
                  .doc = "factor x.",
                  .operands = {{"x", "any tensor"}},
                  .attrs = {{.name = "factor", .kind = AttrKind::real, .doc = "the multiplier"}},
                  .results = {{"", "of the same shape"}},
                  .infer = infer_same,
                  .vjp = scale_vjp,
                  .flops = flops_per_element<1>,
                  .factors = map_factors,
                  .lower = MapLowering{scale_map},
                  .reference = scale_reference,
                  .layer = LayerDef{},
                  .in_place = {{0, 0}},
                  .simplify = scale_simplify};

const OpDef add{.name = "add",
                .doc = "Sum of tensors of one shape.",
                .operands = {{"x", "terms", true}},
                .attrs = {},
                .results = {{"", "the sum"}},
                .infer = infer_all_same,
                .vjp = add_vjp,
                .flops = flops_per_element<1>,
                .factors = map_factors,
                .lower = MapLowering{add_map},
                .reference = add_reference,
                .layer = LayerDef{.keys = {}, .min_inputs = 2, .max_inputs = 64},
                .in_place = {{0, 0}},
                .simplify = add_simplify};

} // namespace netc::ops
