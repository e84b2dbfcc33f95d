// Dropout (Hinton et al. 2012, arXiv 1207.0580).

#include "ir/ops/common.h"

namespace netc::ops {

namespace {

void infer_dropout(InferContext& c) {
  infer_same(c);
  const Shape &part = c.operands[0].shape, &whole = c.attrs.integers("whole");
  const std::vector<int64_t>& at = c.attrs.integers("at");
  if (whole.empty() && at.empty())
    return;
  bool inside = whole.size() == part.size() && at.size() == part.size();
  double elements = 1;
  for (size_t d = 0; inside && d < part.size(); ++d) {
    inside = at[d] + part[d] <= whole[d];
    elements *= static_cast<double>(whole[d]);
  }
  if (!inside || elements > std::numeric_limits<int32_t>::max()) // kernels index with i32
    c.error(fmt::format("{} at [{}] is no part of a tensor [{}]", c.operands[0].str(),
                        fmt::join(at, ", "), fmt::join(whole, ", ")));
}

double kept_factor(const Node& node) {
  return node.attrs.text("mode") == "inverted" ? 1 / (1 - node.attrs.real("rate")) : 1;
}

int64_t stream(const Node& node) {
  return stream_dropout + integer(node, "stream");
}

Expr dropout_map(MapContext& c) {
  Expr index = c.element_index();
  Expr word = kernel::call("philox",
                           {c.scalar(1, 0),
                            kernel::call("xor", {c.scalar(1, 1), Expr(stream(c.node))}, DType::i32),
                            c.scalar(2), kernel::call("shr", {index, Expr(2)}, DType::i32),
                            kernel::call("and", {index, Expr(3)}, DType::i32)},
                           DType::i32);
  Expr keep = kernel::call("uniform", {word}) >= Expr(c.node.attrs.real("rate"));
  return kernel::select(keep, c.operand(0) * Expr(kept_factor(c.node)), Expr(0.0));
}

void dropout_reference(RefContext& c) {
  auto word = [](const RefTensor* t, size_t i) {
    return static_cast<unsigned>(static_cast<int64_t>(t->data[i]));
  };
  const RefTensor *seed = c.operands[1], *step = c.operands[2];
  for (size_t i = 0; i < c.results[0].data.size(); ++i) {
    int64_t index = kernel::whole_index(c.node, static_cast<int64_t>(i));
    Philox4 draw =
        philox4x32_10(word(seed, 0), word(seed, 1) ^ static_cast<unsigned>(stream(c.node)),
                      word(step, 0), static_cast<unsigned>(index / 4), 0, 0);
    if (uniform_unit(draw.word[index % 4]) >= static_cast<float>(c.node.attrs.real("rate")))
      c.results[0].data[i] = c.operands[0]->data[i] * kept_factor(c.node);
  }
}

std::vector<Value*> dropout_vjp(VjpContext& c) {
  // Linear in x: the same mask applied to the cotangent.
  return {c.builder.value(dropout, c.node.name + ".grad",
                          {c.cotangents[0], c.node.operands[1], c.node.operands[2]}, c.node.attrs),
          nullptr, nullptr};
}

Value* dropout_inference(GraphBuilder& b, const Node& node) {
  double factor = node.attrs.text("mode") == "classic" ? 1 - node.attrs.real("rate") : 1;
  return b.value(scale, node.name, {node.operands[0]}, {{"factor", factor}});
}

std::vector<AttrDef> layer_keys() {
  return {{.name = "rate",
           .kind = AttrKind::real,
           .fallback = Attribute{0.5},
           .doc = "probability that an element becomes 0",
           .min = 0,
           .max = 0.999},
          {.name = "mode",
           .kind = AttrKind::text,
           .fallback = Attribute{std::string("classic")},
           .doc = "`classic` (2012): kept elements pass unchanged, inference multiplies by 1 - "
                  "rate; `inverted`: kept elements are divided by 1 - rate, inference does nothing",
           .choices = {"classic", "inverted"}}};
}

/// A share draws the numbers of its part of the whole, of which the node may be a part already.
void dropout_share(ShareContext& c) {
  std::vector<int64_t> at = c.node.attrs.integers("at");
  at.resize(c.results[0].size());
  for (size_t d = 0; d < at.size(); ++d)
    at[d] += c.results[0][d].begin;
  if (c.node.attrs.integers("whole").empty())
    c.attrs.set("whole", c.node.result()->type.shape);
  c.attrs.set("at", at);
}

std::vector<AttrDef> dropout_attrs() {
  std::vector<AttrDef> attrs = layer_keys();
  attrs.push_back({.name = "stream",
                   .kind = AttrKind::integer,
                   .fallback = Attribute{int64_t{0}},
                   .doc = "ordinal of the layer: its own stream of random numbers",
                   .min = 0,
                   .max = 1 << 20});
  attrs.push_back({.name = "whole",
                   .kind = AttrKind::integers,
                   .fallback = Attribute{std::vector<int64_t>{}},
                   .doc = "shape of the tensor that x is a part of, whose random numbers it gets; "
                          "empty: x itself",
                   .min = 1,
                   .max = std::numeric_limits<int32_t>::max(),
                   .implied = true});
  attrs.push_back({.name = "at",
                   .kind = AttrKind::integers,
                   .fallback = Attribute{std::vector<int64_t>{}},
                   .doc = "where x begins in the whole, one index a dimension",
                   .min = 0,
                   .max = std::numeric_limits<int32_t>::max(),
                   .implied = true});
  return attrs;
}

Value* build_dropout(LayerContext& c) {
  int64_t ordinal = 0;
  for (const auto& node : c.builder.graph().nodes)
    ordinal += node->op == &dropout;
  Attributes attrs = c.keys;
  attrs.set("stream", ordinal);
  Node* node = c.apply(dropout, c.name, {c.inputs[0], c.feed("seed"), c.feed("step")}, attrs);
  return node ? node->result() : nullptr;
}

} // namespace

const OpDef dropout{
    .name = "dropout",
    .doc = "Zeroes elements at random. The mask is a pure function of (seed, stream, step, element "
           "index in the whole tensor), so the backward pass draws it again instead of keeping it, "
           "and devices with a part each draw what one would.",
    .operands = {{"x", "any tensor"}, {"seed", "i32[2]"}, {"step", "i32[1]"}},
    .attrs = dropout_attrs(),
    .results = {{"", "as x"}},
    .infer = infer_dropout,
    .vjp = dropout_vjp,
    .flops = flops_per_element<2>,
    .factors = map_factors,
    .share = dropout_share,
    .lower = MapLowering{dropout_map},
    .reference = dropout_reference,
    .layer = LayerDef{.keys = layer_keys(), .build = build_dropout},
    .in_place = {{0, 0}},
    .inference = dropout_inference};

} // namespace netc::ops
