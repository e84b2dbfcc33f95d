// Joining tensors along channels, and the slice that is its gradient.

#include "ir/ops/common.h"

namespace netc::ops {

namespace {

void infer_concat(InferContext& c) {
  if (c.operands.empty() || !c.expect_rank(0, {2, 4}))
    return;
  TensorType result = c.operands[0];
  for (size_t i = 1; i < c.operands.size(); ++i) {
    Shape expected = result.shape, actual = c.operands[i].shape;
    if (actual.size() == expected.size())
      expected[1] = actual[1];
    if (actual != expected || c.operands[i].dtype != result.dtype) {
      c.error(fmt::format("operands differ in more than their channels: {} and {}",
                          c.operands[0].str(), c.operands[i].str()));
      return;
    }
    result.shape[1] += actual[1];
  }
  c.results = {result};
}

void infer_slice(InferContext& c) {
  int64_t begin = c.attrs.integer("begin"), end = c.attrs.integer("end");
  TensorType result = c.operands[0];
  if (!c.expect_rank(0, {2, 4}))
    return;
  if (begin >= end || end > result.shape[1])
    c.error(fmt::format("channels [{}, {}) are not within {}", begin, end, result.str()));
  result.shape[1] = end - begin;
  c.results = {result};
}

std::vector<Value*> concat_vjp(VjpContext& c) {
  std::vector<Value*> grads;
  int64_t begin = 0;
  for (size_t i = 0; i < c.node.operands.size(); ++i) {
    int64_t end = begin + c.node.operands[i]->type.shape[1];
    grads.push_back(c.wanted[i]
                        ? c.builder.value(slice_channels, fmt::format("{}.grad{}", c.node.name, i),
                                          {c.cotangents[0]}, {{"begin", begin}, {"end", end}})
                        : nullptr);
    begin = end;
  }
  return grads;
}

void concat_pixel(PixelContext& c) {
  int64_t begin = 0;
  for (size_t i = 0; i < c.node.operands.size(); ++i) {
    int64_t channels = c.node.operands[i]->type.shape[1];
    c.body.loop(StmtKind::lanes, c.local("c"), 0, channels,
                [&](Expr ch, Body& l) { c.store(l, 0, Expr(begin) + ch, c.here(i, ch)); });
    begin += channels;
  }
}

void slice_pixel(PixelContext& c) {
  int64_t begin = integer(c.node, "begin");
  c.body.loop(StmtKind::lanes, c.local("c"), 0, c.node.result()->type.shape[1],
              [&](Expr ch, Body& l) { c.store(l, 0, ch, c.here(0, Expr(begin) + ch)); });
}

/// Copies channels between tensors that differ in their number of channels only.
void copy_channels(const RefTensor& from, int64_t from_begin, RefTensor& to, int64_t to_begin,
                   int64_t channels) {
  const Shape& shape = from.type.shape;
  int64_t plane = shape.size() == 4 ? shape[2] * shape[3] : 1;
  for (int64_t n = 0; n < shape[0]; ++n)
    for (int64_t i = 0; i < channels * plane; ++i)
      to.data[static_cast<size_t>((n * to.type.shape[1] + to_begin) * plane + i)] =
          from.data[static_cast<size_t>((n * shape[1] + from_begin) * plane + i)];
}

void concat_reference(RefContext& c) {
  int64_t begin = 0;
  for (const RefTensor* operand : c.operands) {
    copy_channels(*operand, 0, c.results[0], begin, operand->type.shape[1]);
    begin += operand->type.shape[1];
  }
}

void slice_reference(RefContext& c) {
  copy_channels(*c.operands[0], integer(c.node, "begin"), c.results[0], 0,
                c.results[0].type.shape[1]);
}

Value* concat_simplify(GraphBuilder&, const Node& node) {
  return node.operands.size() == 1 ? node.operands[0] : nullptr;
}

/// Channels of operands and result do not line up, so they are not offered for cutting.
std::vector<Factor> all_but_channels(const Node& node) {
  std::vector<Factor> factors;
  for (Factor& f : map_factors(node))
    if (f.name != "channel")
      factors.push_back(std::move(f));
  return factors;
}

int64_t no_flops(const Node&) {
  return 0;
}

} // namespace

const OpDef concat{.name = "concat",
                   .doc = "Operands side by side along channels.",
                   .operands = {{"x", "[n, c_i, ...], alike but for their channels", true}},
                   .attrs = {},
                   .results = {{"", "[n, sum of c_i, ...]"}},
                   .infer = infer_concat,
                   .vjp = concat_vjp,
                   .flops = no_flops,
                   .factors = all_but_channels,
                   .lower = PixelLowering{concat_pixel},
                   .reference = concat_reference,
                   .layer = LayerDef{.keys = {}, .min_inputs = 2, .max_inputs = 64},
                   .simplify = concat_simplify};

const OpDef slice_channels{
    .name = "slice_channels",
    .doc = "Channels [begin, end) of a tensor.",
    .operands = {{"x", "[n, c, ...]"}},
    .attrs = {{.name = "begin", .kind = AttrKind::integer, .doc = "first channel", .min = 0},
              {.name = "end", .kind = AttrKind::integer, .doc = "one past the last", .min = 1}},
    .results = {{"", "[n, end - begin, ...]"}},
    .infer = infer_slice,
    .flops = no_flops,
    .factors = all_but_channels,
    .lower = PixelLowering{slice_pixel},
    .reference = slice_reference};

} // namespace netc::ops
