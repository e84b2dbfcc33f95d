// Blocks of pixels to channels and back: a strided convolution becomes one of stride 1 over more
// channels, which is what matrix units want of an image's three.

#include "ir/ops/space_to_depth.h"

namespace netc::ops {

Shape space_to_depth_shape(const Shape& x, int64_t block) {
  return {x[0], x[1] * block * block, (x[2] + block - 1) / block, (x[3] + block - 1) / block};
}

BlockPixel pixel_in_block(const Expr& c, int64_t channels, int64_t block) {
  if (block == 1)
    return {0, 0, c};
  return {c / Expr(channels * block), c / Expr(channels) % Expr(block), c % Expr(channels)};
}

void move_space_to_depth(const RefTensor& x, RefTensor& y, int64_t block) {
  const Shape& shape = x.type.shape;
  for_each4(shape, [&](int64_t n, int64_t c, int64_t h, int64_t w) {
    const int64_t channel = (h % block * block + w % block) * shape[1] + c;
    y.data[at4(y.type.shape, n, channel, h / block, w / block)] = x.data[at4(shape, n, c, h, w)];
  });
}

namespace {

using kernel::select;

AttrDef block_attr() {
  return {.name = "block",
          .kind = AttrKind::integer,
          .doc = "rows and columns of pixels that become channels",
          .min = 1};
}

void infer_space_to_depth(InferContext& c) {
  if (c.expect_rank(0, {4}))
    c.results = {{DType::f32, space_to_depth_shape(c.operands[0].shape, c.attrs.integer("block"))}};
}

void infer_depth_to_space(InferContext& c) {
  if (!c.expect_rank(0, {4}))
    return;
  const Shape& x = c.operands[0].shape;
  const int64_t block = c.attrs.integer("block");
  const Shape result = {x[0], x[1] / block / block, c.attrs.integer("height"),
                        c.attrs.integer("width")};
  if (space_to_depth_shape(result, block) != x)
    c.error(fmt::format("{} does not come from images of {}x{} pixels by blocks of {}",
                        c.operands[0].str(), result[2], result[3], block));
  c.results = {{DType::f32, result}};
}

std::vector<Value*> space_to_depth_vjp(VjpContext& c) {
  const Shape& x = c.node.operands[0]->type.shape;
  return {c.builder.value(
      depth_to_space, c.node.name + ".grad", {c.cotangents[0]},
      {{"block", c.node.attrs.integer("block")}, {"height", x[2]}, {"width", x[3]}})};
}

std::vector<Value*> depth_to_space_vjp(VjpContext& c) {
  return {c.builder.value(space_to_depth, c.node.name + ".grad", {c.cotangents[0]},
                          {{"block", c.node.attrs.integer("block")}})};
}

void space_to_depth_pixel(PixelContext& c) {
  const Shape &x = c.node.operands[0]->type.shape, &y = c.node.result()->type.shape;
  const int64_t block = c.node.attrs.integer("block");
  c.body.loop(StmtKind::lanes, c.local("c"), 0, y[1], [&](Expr ch, Body& l) {
    const BlockPixel at = pixel_in_block(ch, x[1], block);
    Expr row = l.let(c.local("row"), c.h * Expr(block) + at.row);
    Expr column = l.let(c.local("column"), c.w * Expr(block) + at.column);
    Expr value = c.load(0, c.n, min(row, Expr(x[2] - 1)), min(column, Expr(x[3] - 1)), at.channel);
    c.store(l, 0, ch, select(row < Expr(x[2]) && column < Expr(x[3]), value, Expr(0.0)));
  });
}

void depth_to_space_pixel(PixelContext& c) {
  const Shape& y = c.node.result()->type.shape;
  const Expr block = c.node.attrs.integer("block");
  Expr first = c.body.let(c.local("first"), (c.h % block * block + c.w % block) * Expr(y[1]));
  c.body.loop(StmtKind::lanes, c.local("c"), 0, y[1], [&](Expr ch, Body& l) {
    c.store(l, 0, ch, c.load(0, c.n, c.h / block, c.w / block, first + ch));
  });
}

void space_to_depth_reference(RefContext& c) {
  move_space_to_depth(*c.operands[0], c.results[0], c.node.attrs.integer("block"));
}

void depth_to_space_reference(RefContext& c) {
  const RefTensor& x = *c.operands[0];
  RefTensor& y = c.results[0];
  const int64_t block = c.node.attrs.integer("block");
  for_each4(y.type.shape, [&](int64_t n, int64_t ch, int64_t h, int64_t w) {
    const int64_t channel = (h % block * block + w % block) * y.type.shape[1] + ch;
    y.data[at4(y.type.shape, n, ch, h, w)] =
        x.data[at4(x.type.shape, n, channel, h / block, w / block)];
  });
}

std::vector<Factor> batch_factor(const Node& node) {
  return {{"batch", node.result()->type.shape[0], FactorKind::parallel, {0}, {0}}};
}

int64_t no_flops(const Node&) {
  return 0;
}

} // namespace

const OpDef space_to_depth{
    .name = "space_to_depth",
    .doc = "Blocks of pixels to channels: pixel (y, x) of channel k goes to pixel (y / block, "
           "x / block) of channel ((y % block) block + x % block) c + k. What hangs over is 0.",
    .operands = {{"x", "[n, c, h, w]"}},
    .attrs = {block_attr()},
    .results = {{"", "[n, c block block, h / block, w / block], rounded up"}},
    .infer = infer_space_to_depth,
    .vjp = space_to_depth_vjp,
    .flops = no_flops,
    .factors = batch_factor,
    .lower = PixelLowering{.pixel = space_to_depth_pixel, .fusable = false},
    .reference = space_to_depth_reference};

const OpDef depth_to_space{
    .name = "depth_to_space",
    .doc = "The inverse of space_to_depth; drops what hangs over.",
    .operands = {{"x", "[n, c block block, height / block, width / block], rounded up"}},
    .attrs = {block_attr(),
              {.name = "height", .kind = AttrKind::integer, .doc = "of the result", .min = 1},
              {.name = "width", .kind = AttrKind::integer, .doc = "of the result", .min = 1}},
    .results = {{"", "[n, c, height, width]"}},
    .infer = infer_depth_to_space,
    .vjp = depth_to_space_vjp,
    .flops = no_flops,
    .factors = batch_factor,
    .lower = PixelLowering{.pixel = depth_to_space_pixel, .fusable = false},
    .reference = depth_to_space_reference};

} // namespace netc::ops
