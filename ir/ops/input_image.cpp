// From stored uint8 images to the network's input: crop, flip, mean and scale.

#include "ir/ops/common.h"
#include "ir/ops/space_to_depth.h"

namespace netc::ops {

namespace {

using kernel::Access;
using kernel::call;
using kernel::cast;
using kernel::Kernel;
using kernel::load;
using kernel::select;

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
  int64_t block = c.attrs.integer("block");
  c.results = {{DType::f32, space_to_depth_shape({x[0], x[1], h, w}, block)}};
}

/// The loops of the kernel and what they share.
class InputKernel {
public:
  explicit InputKernel(const Node& node)
      : node_(node), stored_(node.operands[0]->type.shape), result_(node.result()->type.shape),
        height_(node.attrs.integer("height")), width_(node.attrs.integer("width")),
        block_(node.attrs.integer("block")) {}

  /// Row after row of the result, in parts of `rows`, `name` the part; `fill` writes the loops over
  /// the part that begins at row `h`, their columns and channels.
  template <class Fill> Kernel parts(const char* name, int64_t rows, Fill fill) {
    Body body;
    body.loop(StmtKind::parallel, "n", 0, result_[0], [&](Expr n, Body& image) {
      image.loop(StmtKind::parallel, name, 0, (result_[2] + rows - 1) / rows,
                 [&](Expr part, Body& row) {
                   n_ = n;
                   top_ = row.let("top", crop_start(stored_[2] - height_, 0));
                   left_ = row.let("left", crop_start(stored_[3] - width_, 1));
                   if (node_.attrs.flag("flip"))
                     mirrored_ = row.let("mirrored", call("and", {draw(2), Expr(1)}, DType::i32));
                   fill(*this, part * Expr(rows), row);
                 });
    });
    return {node_.name, params(), body.take()};
  }

  /// Stores channel `c` of column `w` of row `h`.
  void element(Body& lane, Expr h, Expr w, Expr c) {
    const BlockPixel at = pixel_in_block(c, stored_[1], block_);
    Expr y = lane.let("y", h * Expr(block_) + at.row);
    Expr x = lane.let("x", w * Expr(block_) + at.column);
    Expr byte = load("images", DType::u8, {n_, at.channel, stored_row(y), stored_column(x)});
    lane.store("result", {n_, c, h, w}, value(byte, at.channel, inside(y, x)));
  }

  /// Stores the channels of row `r` of a block, one after the other, from where they lie likewise.
  void block_row(Body& lane, Expr h, Expr w, Expr r) {
    Expr y = lane.let("y", h * Expr(block_) + r), row = lane.let("row", stored_row(y));
    std::vector<Expr> bytes, exist;
    for (int64_t k = 0; k < block_; ++k) {
      Expr x = lane.let(fmt::format("x{}", k), w * Expr(block_) + Expr(k));
      Expr column = lane.let(fmt::format("column{}", k), stored_column(x));
      exist.push_back(inside(y, x));
      if (block_ > 1)
        exist.back() = lane.let(fmt::format("exists{}", k), exist.back());
      for (int64_t c = 0; c < stored_[1]; ++c)
        bytes.push_back(lane.let(fmt::format("byte{}", bytes.size()),
                                 load("images", DType::u8, {n_, Expr(c), row, column})));
    }
    Expr first = r * Expr(block_ * stored_[1]);
    for (int64_t i = 0; i < block_ * stored_[1]; ++i)
      lane.store("result", {n_, first + Expr(i), h, w},
                 value(bytes[static_cast<size_t>(i)], Expr(i % stored_[1]),
                       exist[static_cast<size_t>(i / stored_[1])]));
  }

  const Shape& result() const { return result_; }
  int64_t block() const { return block_; }

private:
  std::vector<kernel::Param> params() const {
    static constexpr const char* names[] = {"images", "sample_ids", "epochs", "seed", "mean"};
    std::vector<kernel::Param> list;
    for (size_t i = 0; i < node_.operands.size(); ++i)
      list.push_back({names[i], node_.operands[i]->type, node_.operands[i]->layout, Access::in});
    list.push_back({"result", node_.result()->type, node_.result()->layout, Access::out});
    return list;
  }

  /// Word `lane` of the draw for the sample: key (seed), counter (epoch, sample id).
  Expr draw(int lane) const {
    auto word = [](const char* buffer, Expr i) { return load(buffer, DType::i32, {std::move(i)}); };
    return call("philox",
                {word("seed", 0),
                 call("xor", {word("seed", 1), Expr(int64_t{stream_augment})}, DType::i32),
                 word("epochs", n_), word("sample_ids", n_), Expr(lane)},
                DType::i32);
  }

  /// Whether a pixel of the window exists: the last blocks may hang over.
  Expr inside(const Expr& y, const Expr& x) const {
    return block_ > 1 ? y < Expr(height_) && x < Expr(width_) : Expr(1);
  }
  /// Where it is stored, or one beside it.
  Expr stored_row(const Expr& y) const {
    return top_ + (block_ > 1 ? min(y, Expr(height_ - 1)) : y);
  }
  Expr stored_column(const Expr& x) const {
    Expr in_window = block_ > 1 ? min(x, Expr(width_ - 1)) : x;
    return left_ + (mirrored_
                        ? select(mirrored_ == Expr(1), Expr(width_ - 1) - in_window, in_window)
                        : in_window);
  }
  Expr value(const Expr& byte, const Expr& channel, const Expr& exists) const {
    Expr value = cast(DType::f32, byte);
    if (node_.operands.size() == 5)
      value = value - load("mean", DType::f32, {channel});
    if (double scale = node_.attrs.real("scale"); scale != 1)
      value = value * Expr(scale);
    return select(exists, value, Expr(0.0));
  }

  /// First stored row or column of the window: the centre, or uniform in 0 .. room.
  Expr crop_start(int64_t room, int lane) const {
    if (room == 0 || !node_.attrs.flag("random_crop"))
      return Expr(room / 2);
    return min(
        cast(DType::i32, call("uniform", {draw(lane)}) * Expr(static_cast<double>(room + 1))),
        Expr(room));
  }

  const Node& node_;
  const Shape &stored_, &result_;
  int64_t height_, width_, block_;
  Expr n_, top_, left_, mirrored_;
};

Kernel input_image_kernel(const Node& node) {
  return InputKernel(node).parts("h", 1, [](InputKernel& kernel, const Expr& h, Body& row) {
    row.loop(StmtKind::spread, "w", 0, kernel.result()[3], [&](Expr w, Body& pixel) {
      pixel.loop(StmtKind::lanes, "c", 0, kernel.result()[1],
                 [&](Expr c, Body& lane) { kernel.element(lane, h, w, c); });
    });
  });
}

/// On a GPU the threads share some rows evenly, a row of a block each: enough for a thread that all
/// have drawn the window's place.
Kernel input_image_on_gpu(const Node& node) {
  constexpr int64_t least_items = 1024;
  InputKernel kernel(node);
  const int64_t columns = kernel.result()[3], height = kernel.result()[2], block = kernel.block();
  const int64_t items = columns * block;
  const int64_t rows = std::min(height, (least_items + items - 1) / items);
  return kernel.parts("part", rows, [&](InputKernel&, const Expr& first, Body& part) {
    part.loop(StmtKind::lanes, "i", 0, rows * items, [&](Expr i, Body& lane) {
      Expr h = lane.let("line", first + i / Expr(items));
      auto fill = [&](Body& row) {
        Expr w = row.let("w", i / Expr(block) % Expr(columns));
        kernel.block_row(row, h, w, i % Expr(block));
      };
      height % rows == 0 ? fill(lane) : lane.when(h < Expr(height), fill);
    });
  });
}

void input_image_reference(RefContext& c) {
  const RefTensor& images = *c.operands[0];
  const Shape& x = images.type.shape;
  auto word = [&](size_t operand, int64_t i) {
    return static_cast<unsigned>(
        static_cast<int64_t>(c.operands[operand]->data[static_cast<size_t>(i)]));
  };
  auto start = [&](int64_t room, unsigned bits) -> int64_t {
    if (!c.node.attrs.flag("random_crop"))
      return room / 2;
    return std::min(room, static_cast<int64_t>(uniform_unit(bits) * static_cast<float>(room + 1)));
  };
  const int64_t height = c.node.attrs.integer("height"), width = c.node.attrs.integer("width");
  RefTensor flat{{DType::f32, {x[0], x[1], height, width}}, {}};
  flat.data.resize(static_cast<size_t>(flat.type.elements()));
  for_each4(flat.type.shape, [&](int64_t n, int64_t ch, int64_t h, int64_t w) {
    Philox4 bits =
        philox4x32_10(word(3, 0), word(3, 1) ^ stream_augment, word(2, n), word(1, n), 0, 0);
    bool flip = c.node.attrs.flag("flip") && (bits.word[2] & 1);
    int64_t row = start(x[2] - height, bits.word[0]) + h;
    int64_t column = start(x[3] - width, bits.word[1]) + (flip ? width - 1 - w : w);
    double value = images.data[at4(x, n, ch, row, column)];
    if (c.operands.size() == 5)
      value -= c.operands[4]->data[static_cast<size_t>(ch)];
    flat.data[at4(flat.type.shape, n, ch, h, w)] = value * c.node.attrs.real("scale");
  });
  move_space_to_depth(flat, c.results[0], c.node.attrs.integer("block"));
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
           "mirror are drawn from (seed, epoch, sample id), so they depend on nothing else. Then "
           "space_to_depth, where `block` is not 1.",
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
               .doc = "multiplier after the mean"},
              {.name = "block",
               .kind = AttrKind::integer,
               .fallback = Attribute{int64_t{1}},
               .doc = "of space_to_depth",
               .min = 1}},
    .results = {{"", "f32 [n, c, height, width], by blocks"}},
    .infer = infer_input_image,
    .flops = flops_per_element<2>,
    .factors = sample_factor,
    .lower = KernelLowering{input_image_kernel, input_image_on_gpu},
    .reference = input_image_reference,
    .inference = input_image_inference};

} // namespace netc::ops
