// From stored uint8 images to the network's input: crop, flip, mean and scale.

#include "ir/ops/common.h"

namespace netc::ops {

namespace {

using kernel::call;
using kernel::cast;
using kernel::select;
using kernel::var;

void infer_input_image(InferContext& c) {
  if (!c.expect_rank(0, {4}))
    return;
  const Shape& x = c.operands[0].shape;
  int64_t h = c.attrs.integer("height"), w = c.attrs.integer("width");
  if (c.operands[0].dtype != DType::u8)
    c.error(fmt::format("images are {}, must be u8", c.operands[0].str()));
  if (h > x[2] || w > x[3])
    c.error(fmt::format("an input of {}x{} does not fit stored images of {}x{}", h, w, x[2], x[3]));
  if (c.operands.size() > 5)
    c.error("takes at most one mean");
  if (c.operands.size() == 5 && c.operands[4].shape != Shape{x[1]})
    c.error(fmt::format("the mean {} does not fit {} channels", c.operands[4].str(), x[1]));
  c.results = {{DType::f32, {x[0], x[1], h, w}}};
}

/// Word `lane` of the draw for sample n: key (seed), counter (epoch, sample id).
Expr draw(PixelContext& c, int lane) {
  return call("philox",
              {c.element(3, {Expr(0)}),
               call("xor", {c.element(3, {Expr(1)}), Expr(int64_t{stream_augment})}, DType::i32),
               c.element(2, {c.n}), c.element(1, {c.n}), Expr(lane)},
              DType::i32);
}

/// First stored row or column of the window: the centre, or uniform in 0 .. room.
Expr crop_start(PixelContext& c, int64_t room, int lane) {
  if (room == 0 || !c.node.attrs.flag("random_crop"))
    return Expr(room / 2);
  return min(
      cast(DType::i32, call("uniform", {draw(c, lane)}) * Expr(static_cast<double>(room + 1))),
      Expr(room));
}

void input_image_pixel(PixelContext& c) {
  const Shape &x = c.node.operands[0]->type.shape, &y = c.node.result()->type.shape;
  Expr top = c.body.let(c.local("top"), crop_start(c, x[2] - y[2], 0));
  Expr left = c.body.let(c.local("left"), crop_start(c, x[3] - y[3], 1));
  Expr column = c.w;
  if (c.node.attrs.flag("flip"))
    column = select(call("and", {draw(c, 2), Expr(1)}, DType::i32) == Expr(1), Expr(y[3] - 1) - c.w,
                    c.w);
  column = c.body.let(c.local("column"), left + column);
  double scale = c.node.attrs.real("scale");
  c.body.loop(StmtKind::lanes, c.local("c"), 0, x[1], [&](Expr ch, Body& l) {
    Expr value = cast(DType::f32, c.load(0, c.n, top + c.h, column, ch));
    if (c.node.operands.size() == 5)
      value = value - c.element(4, {ch});
    c.store(l, 0, ch, scale == 1 ? value : value * Expr(scale));
  });
}

void input_image_reference(RefContext& c) {
  const RefTensor& images = *c.operands[0];
  const Shape &x = images.type.shape, &y = c.results[0].type.shape;
  auto word = [&](size_t operand, int64_t i) {
    return static_cast<unsigned>(
        static_cast<int64_t>(c.operands[operand]->data[static_cast<size_t>(i)]));
  };
  auto start = [&](int64_t room, unsigned bits) -> int64_t {
    if (!c.node.attrs.flag("random_crop"))
      return room / 2;
    return std::min(room, static_cast<int64_t>(uniform_unit(bits) * static_cast<float>(room + 1)));
  };
  for_each4(y, [&](int64_t n, int64_t ch, int64_t h, int64_t w) {
    Philox4 bits =
        philox4x32_10(word(3, 0), word(3, 1) ^ stream_augment, word(2, n), word(1, n), 0, 0);
    bool flip = c.node.attrs.flag("flip") && (bits.word[2] & 1);
    int64_t row = start(x[2] - y[2], bits.word[0]) + h;
    int64_t column = start(x[3] - y[3], bits.word[1]) + (flip ? y[3] - 1 - w : w);
    double value = images.data[at4(x, n, ch, row, column)];
    if (c.operands.size() == 5)
      value -= c.operands[4]->data[static_cast<size_t>(ch)];
    c.results[0].data[at4(y, n, ch, h, w)] = value * c.node.attrs.real("scale");
  });
}

/// Evaluation takes the centre, unflipped.
Value* input_image_inference(GraphBuilder& b, const Node& node) {
  if (!node.attrs.flag("random_crop") && !node.attrs.flag("flip"))
    return nullptr;
  Attributes attrs = node.attrs;
  attrs.set("random_crop", false);
  attrs.set("flip", false);
  return b.value(input_image, node.name, node.operands, attrs);
}

std::vector<Factor> sample_factor(const Node& node) {
  std::vector<int> operands = {0, 0, 0, -1, -1};
  operands.resize(node.operands.size());
  return {{"batch", node.result()->type.shape[0], FactorKind::parallel, operands, {0}}};
}

} // namespace

const OpDef input_image{
    .name = "input_image",
    .doc = "y = (window of the stored image - mean) scale. While training the window's place and a "
           "mirror are drawn from (seed, epoch, sample id), so they depend on nothing else.",
    .operands = {{"images", "u8 [n, c, stored height, stored width]"},
                 {"sample_ids", "i32[n]"},
                 {"epochs", "i32[n]"},
                 {"seed", "i32[2]"},
                 {"mean", "f32[c], optional", true}},
    .attrs = {{.name = "height", .kind = AttrKind::integer, .doc = "of the input", .min = 1},
              {.name = "width", .kind = AttrKind::integer, .doc = "of the input", .min = 1},
              {.name = "random_crop",
               .kind = AttrKind::boolean,
               .doc = "draw the window's place; else the centre"},
              {.name = "flip", .kind = AttrKind::boolean, .doc = "mirror half of the images"},
              {.name = "scale",
               .kind = AttrKind::real,
               .fallback = Attribute{1.0},
               .doc = "multiplier after the mean"}},
    .results = {{"", "f32 [n, c, height, width]"}},
    .infer = infer_input_image,
    .flops = flops_per_element<2>,
    .factors = sample_factor,
    .lower = PixelLowering{.pixel = input_image_pixel, .fusable = false},
    .reference = input_image_reference,
    .inference = input_image_inference};

} // namespace netc::ops
