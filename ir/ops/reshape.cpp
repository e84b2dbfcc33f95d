// Changing the shape of a sample; elements keep their logical (row-major) order.

#include "ir/ops/common.h"

namespace netc::ops {

namespace {

void infer_flatten(InferContext& c) {
  const Shape& x = c.operands[0].shape;
  if (c.expect_rank(0, {2, 4}))
    c.results = {{c.operands[0].dtype, {x[0], element_count(x) / x[0]}}};
}

void infer_reshape(InferContext& c) {
  if (!c.expect_rank(0, {2, 4}))
    return;
  const std::vector<int64_t>& shape = c.attrs.integers("shape");
  if (shape.size() != 1 && shape.size() != 3) {
    c.error(fmt::format("`shape` has {} entries, must be [features] or [channels, height, width]",
                        shape.size()));
    return;
  }
  Shape result = {c.operands[0].shape[0]};
  result.insert(result.end(), shape.begin(), shape.end());
  double wanted = 1;
  for (int64_t extent : shape)
    wanted *= static_cast<double>(extent);
  int64_t have = c.operands[0].elements() / c.operands[0].shape[0];
  if (wanted != static_cast<double>(have))
    c.error(fmt::format("a sample of {} has {} elements, `shape` [{}] has {}", c.operands[0].str(),
                        have, fmt::join(shape, ", "), wanted));
  c.results = {{c.operands[0].dtype, result}};
}

std::vector<Value*> reshape_vjp(VjpContext& c) {
  const Shape& x = c.node.operands[0]->type.shape;
  return {c.builder.value(reshape, c.node.name + ".grad", {c.cotangents[0]},
                          {{"shape", std::vector<int64_t>(x.begin() + 1, x.end())}})};
}

/// The element of the operand that has the same place in the sample as channel `ch` of the pixel.
void reshape_pixel(PixelContext& c) {
  kernel::PixelShape from = kernel::pixel_shape(c.node.operands[0]->type.shape);
  kernel::PixelShape to = kernel::pixel_shape(c.node.result()->type.shape);
  c.body.loop(StmtKind::lanes, c.local("c"), 0, to.c, [&](Expr ch, Body& l) {
    Expr place = l.let(c.local("place"), (ch * Expr(to.h) + c.h) * Expr(to.w) + c.w);
    c.store(l, 0, ch,
            c.load(0, c.n, place / Expr(from.w) % Expr(from.h), place % Expr(from.w),
                   place / Expr(from.h * from.w)));
  });
}

/// The same, channel by channel: they lie apart in the operand, or in the result.
std::vector<Run> reshape_run(RunContext& c) {
  kernel::PixelShape from = kernel::pixel_shape(c.node.operands[0]->type.shape);
  kernel::PixelShape to = kernel::pixel_shape(c.node.result()->type.shape);
  Run run;
  for (int64_t k = 0; k < c.count; ++k) {
    Expr place = c.let("place", ((c.first + Expr(k)) * Expr(to.h) + c.h.at) * Expr(to.w) + c.w.at);
    run.push_back(c.load(0, c.n, place / Expr(from.w) % Expr(from.h), place % Expr(from.w),
                         place / Expr(from.h * from.w), 1)[0]);
  }
  return {run};
}

void reshape_reference(RefContext& c) {
  c.results[0].data = c.operands[0]->data;
}

/// Between features and images, whole channels lie together.
std::vector<Factor> reshape_factors(const Node& node) {
  const Shape &from = node.operands[0]->type.shape, &to = node.result()->type.shape;
  std::vector<Factor> factors = {{"batch", to[0], FactorKind::parallel, {0}, {0}}};
  if (from.size() != to.size() || from == to)
    factors.push_back({"channel", std::min(from[1], to[1]), FactorKind::group, {1}, {1}});
  return factors;
}

void reshape_share(ShareContext& c) {
  if (!c.attrs.has("shape"))
    return;
  Shape shape = shape_of(c.results[0]);
  c.attrs.set("shape", std::vector<int64_t>(shape.begin() + 1, shape.end()));
}

Value* reshape_simplify(GraphBuilder&, const Node& node) {
  Value* x = node.operands[0];
  return x->type == node.result()->type ? x : nullptr;
}

int64_t no_flops(const Node&) {
  return 0;
}
int64_t one_tap(const Node&) {
  return 1;
}

} // namespace

const OpDef flatten{.name = "flatten",
                    .doc = "Images to features, in the order channel, height, width.",
                    .operands = {{"x", "[n, c, h, w] or [n, f]"}},
                    .attrs = {},
                    .results = {{"", "[n, c h w]"}},
                    .infer = infer_flatten,
                    .vjp = reshape_vjp,
                    .flops = no_flops,
                    .factors = reshape_factors,
                    .share = reshape_share,
                    .lower = PixelLowering{.pixel = reshape_pixel,
                                           .fusable = false,
                                           .run = reshape_run,
                                           .taps = one_tap},
                    .reference = reshape_reference,
                    .layer = LayerDef{},
                    .simplify = reshape_simplify};

const OpDef reshape{.name = "reshape",
                    .doc = "Gives each sample another shape with the same number of elements.",
                    .operands = {{"x", "[n, c, h, w] or [n, f]"}},
                    .attrs = {{.name = "shape",
                               .kind = AttrKind::integers,
                               .doc = "of a sample: [features] or [channels, height, width]",
                               .min = 1,
                               .max = 1e12}},
                    .results = {{"", "the same elements"}},
                    .infer = infer_reshape,
                    .vjp = reshape_vjp,
                    .flops = no_flops,
                    .factors = reshape_factors,
                    .share = reshape_share,
                    .lower = PixelLowering{.pixel = reshape_pixel,
                                           .fusable = false,
                                           .run = reshape_run,
                                           .taps = one_tap},
                    .reference = reshape_reference,
                    .layer = LayerDef{},
                    .simplify = reshape_simplify};

} // namespace netc::ops
