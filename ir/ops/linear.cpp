// Fully connected layer y = x w^T and its gradients.

#include "ir/ops/common.h"

namespace netc::ops {

namespace {

void infer_linear(InferContext& c) {
  check_blocks(c);
  if (!c.expect_rank(0, {2}) || !c.expect_rank(1, {2}))
    return;
  const Shape &x = c.operands[0].shape, &w = c.operands[1].shape;
  if (x[1] != w[1]) {
    c.error(fmt::format("weight {} reads {} features, the input {} has {}", c.operands[1].str(),
                        w[1], c.operands[0].str(), x[1]));
    return;
  }
  c.results = {{DType::f32, {x[0], w[0]}}};
}

void infer_data_gradient(InferContext& c) {
  check_blocks(c);
  c.results = {{DType::f32, {c.operands[0].shape[0], c.operands[1].shape[1]}}};
}

void infer_weight_gradient(InferContext& c) {
  check_blocks(c);
  c.results = {{DType::f32, {c.operands[1].shape[1], c.operands[0].shape[1]}}};
}

std::vector<Value*> linear_vjp(VjpContext& c) {
  Value *x = c.node.operands[0], *w = c.node.operands[1], *dy = c.cotangents[0];
  std::vector<Value*> grads(2, nullptr);
  Attributes attrs = c.node.attrs;
  attrs.erase("blocks"); // The gradients sum over other dimensions.
  if (c.wanted[0])
    grads[0] = c.builder.value(linear_data_gradient, c.node.name + ".data_grad", {dy, w}, attrs);
  if (c.wanted[1])
    grads[1] =
        c.builder.value(linear_weight_gradient, c.node.name + ".weight_grad", {x, dy}, attrs);
  return grads;
}

/// Every pass multiplies batch x in x out numbers.
int64_t linear_macs(const Node& node) {
  const Shape& first = node.operands[0]->type.shape;
  int64_t reduced = node.op == &linear_weight_gradient ? first[0] : first[1];
  return node.result()->type.elements() * reduced;
}

int64_t linear_flops(const Node& node) {
  return 2 * linear_macs(node);
}

std::vector<Factor> linear_factors(const Node& node) {
  struct Row {
    const char* name;
    int x, w, y;
  };
  const Row rows[] = {{"batch", 0, -1, 0}, {"out_feature", -1, 0, 1}, {"in_feature", 1, 1, -1}};
  std::vector<Factor> factors;
  for (const Row& row : rows) {
    int result = row.y;
    std::vector<int> operands = {row.x, row.w};
    if (node.op == &linear_data_gradient)
      result = row.x, operands = {row.y, row.w};
    else if (node.op == &linear_weight_gradient)
      result = row.w, operands = {row.x, row.y};
    size_t holder = operands[0] >= 0 ? 0 : 1;
    int64_t extent = node.operands[holder]->type.shape[static_cast<size_t>(operands[holder])];
    factors.push_back({row.name,
                       extent,
                       result < 0 ? FactorKind::reduction : FactorKind::parallel,
                       operands,
                       {result}});
  }
  return factors;
}

/// result[i,j] = sum over k of a(i,k) b(k,j).
template <class A, class B> void multiply(RefTensor& result, int64_t depth, A a, B b) {
  int64_t rows = result.type.shape[0], columns = result.type.shape[1];
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < depth; ++k)
        sum += a(i, k) * b(k, j);
      result.data[static_cast<size_t>(i * columns + j)] = sum;
    }
}

double at(const RefTensor& t, int64_t i, int64_t j) {
  return t.data[static_cast<size_t>(i * t.type.shape[1] + j)];
}

void linear_reference(RefContext& c) {
  const RefTensor &x = *c.operands[0], &w = *c.operands[1];
  multiply(
      c.results[0], x.type.shape[1], [&](int64_t n, int64_t i) { return at(x, n, i); },
      [&](int64_t i, int64_t o) { return at(w, o, i); });
}

void data_gradient_reference(RefContext& c) {
  const RefTensor &dy = *c.operands[0], &w = *c.operands[1];
  multiply(
      c.results[0], w.type.shape[0], [&](int64_t n, int64_t o) { return at(dy, n, o); },
      [&](int64_t o, int64_t i) { return at(w, o, i); });
}

void weight_gradient_reference(RefContext& c) {
  const RefTensor &x = *c.operands[0], &dy = *c.operands[1];
  multiply(
      c.results[0], x.type.shape[0], [&](int64_t o, int64_t n) { return at(dy, n, o); },
      [&](int64_t n, int64_t i) { return at(x, n, i); });
}

Value* build_linear(LayerContext& c) {
  Value* x = c.inputs[0];
  if (x->type.shape.size() != 2) {
    Node* flat = c.apply(flatten, c.name + ".flatten", {x}, {});
    if (!flat)
      return nullptr;
    x = flat->result();
  }
  int64_t in = x->type.shape[1], out = c.keys.integer("features");
  Value* w = c.parameter({.name = "weight",
                          .type = {DType::f32, {out, in}},
                          .init = "weight",
                          .fan_in = in,
                          .fan_out = out});
  Node* node = c.apply(linear, c.name, {x, w}, {{"precision", c.keys.text("precision")}});
  if (!node || !c.keys.flag("bias"))
    return node ? node->result() : nullptr;
  Value* b = c.parameter({.name = "bias", .type = {DType::f32, {out}}, .init = "bias"});
  return c.apply(bias, c.name + ".add_bias", {node->result(), b}, {})->result();
}

} // namespace

const OpDef linear{
    .name = "linear",
    .doc = "y[n,o] = sum over i of x[n,i] w[o,i]. As a layer it flattens images in the order "
           "channel, height, width.",
    .operands = {{"x", "features [n, i]"}, {"w", "weights [o, i]"}},
    .attrs = {precision_attr(), blocks_attr()},
    .results = {{"", "[n, o]"}},
    .infer = infer_linear,
    .vjp = linear_vjp,
    .macs = linear_macs,
    .flops = linear_flops,
    .factors = linear_factors,
    .lower = TemplateLowering{"linear_forward"},
    .reference = linear_reference,
    .layer = LayerDef{.keys = {{.name = "features",
                                .kind = AttrKind::integer,
                                .doc = "outputs",
                                .min = 1,
                                .max = 1 << 24},
                               {.name = "bias",
                                .kind = AttrKind::boolean,
                                .fallback = Attribute{true},
                                .doc = "add a learned bias to each output"},
                               precision_attr()},
                      .build = build_linear,
                      .parameters = true}};

const OpDef linear_data_gradient{.name = "linear_data_gradient",
                                 .doc = "dx[n,i] = sum over o of dy[n,o] w[o,i].",
                                 .operands = {{"dy", "cotangent of the result"}, {"w", "weights"}},
                                 .attrs = {precision_attr(), blocks_attr()},
                                 .results = {{"", "as x"}},
                                 .infer = infer_data_gradient,
                                 .macs = linear_macs,
                                 .flops = linear_flops,
                                 .factors = linear_factors,
                                 .lower = TemplateLowering{"linear_data_gradient"},
                                 .reference = data_gradient_reference};

const OpDef linear_weight_gradient{
    .name = "linear_weight_gradient",
    .doc = "dw[o,i] = sum over n of dy[n,o] x[n,i].",
    .operands = {{"x", "features"}, {"dy", "cotangent of the result"}},
    .attrs = {precision_attr(), blocks_attr()},
    .results = {{"", "as w"}},
    .infer = infer_weight_gradient,
    .macs = linear_macs,
    .flops = linear_flops,
    .factors = linear_factors,
    .lower = TemplateLowering{"linear_weight_gradient"},
    .reference = weight_gradient_reference};

} // namespace netc::ops
