#include "ir/ops/common.h"

#include "ir/kernel_rules.h"

#include <algorithm>

namespace netc::ops {

void infer_same(InferContext& c) {
  c.results = {c.operands[0]};
}

void infer_all_same(InferContext& c) {
  for (size_t i = 1; i < c.operands.size(); ++i)
    if (c.operands[i] != c.operands[0])
      c.error(fmt::format("operands differ in type: {} and {}", c.operands[0].str(),
                          c.operands[i].str()));
  c.results = {c.operands[0]};
}

void infer_from_attrs(InferContext& c) {
  auto dtype = parse_dtype(c.attrs.text("dtype"));
  c.results = {{*dtype, c.attrs.integers("shape")}};
}

std::vector<AttrDef> type_attrs() {
  return {{.name = "shape", .kind = AttrKind::integers, .doc = "logical extents", .min = 1},
          {.name = "dtype",
           .kind = AttrKind::text,
           .fallback = Attribute{std::string("f32")},
           .doc = "element type",
           .choices = {"f32", "bf16", "u8", "i32"}}};
}

namespace {

std::vector<Factor> factors_by_dim(const Node& node, FactorKind channel_kind) {
  static const char* const names[] = {"batch", "channel", "height", "width"};
  const Shape& shape = node.result()->type.shape;
  std::vector<Factor> factors;
  for (size_t d = 0; d < shape.size(); ++d) {
    Factor f{d < 4 ? names[d] : fmt::format("dim{}", d),
             shape[d],
             d == 1 ? channel_kind : FactorKind::parallel,
             {},
             {}};
    int dim = static_cast<int>(d);
    for (const Value* operand : node.operands) {
      const Shape& s = operand->type.shape;
      // A vector of channels is broadcast; scalars and tables (seed, step) do not take part.
      bool channels = s.size() == 1 && operand->type.dtype == DType::f32 &&
                      d == std::min<size_t>(1, shape.size() - 1) && s[0] == shape[d];
      bool walks = s.size() > 1 && s.size() == shape.size();
      f.operand_dims.push_back(walks ? dim : channels ? 0 : -1);
    }
    for (const auto& result : node.results)
      f.result_dims.push_back(result->type.shape.size() == shape.size() ? dim : -1);
    factors.push_back(std::move(f));
  }
  return factors;
}

} // namespace

std::vector<Factor> map_factors(const Node& node) {
  return factors_by_dim(node, FactorKind::parallel);
}

std::vector<Factor> pixel_factors(const Node& node) {
  return factors_by_dim(node, FactorKind::window);
}

int64_t Window::count(int64_t extent, int64_t kernel, int64_t stride, int64_t before, int64_t after,
                      bool ceil) {
  int64_t room = extent + before + after - kernel + (ceil ? stride - 1 : 0);
  if (room < 0)
    return 0;
  int64_t windows = room / stride + 1;
  return ceil && (windows - 1) * stride >= extent + before ? windows - 1 : windows;
}

Window window_of(const Attributes& attrs) {
  Window w{};
  if (attrs.has("kernel")) {
    w.kernel_h = attrs.integers("kernel")[0];
    w.kernel_w = attrs.integers("kernel")[1];
  }
  w.stride_h = attrs.integers("stride")[0];
  w.stride_w = attrs.integers("stride")[1];
  w.dilation_h = attrs.has("dilation") ? attrs.integers("dilation")[0] : 1;
  w.dilation_w = attrs.has("dilation") ? attrs.integers("dilation")[1] : 1;
  const std::vector<int64_t>& pad = attrs.integers("pad");
  w.top = pad[0], w.left = pad[1], w.bottom = pad[2], w.right = pad[3];
  return w;
}

WindowShare share_of_windows(Range range, int64_t windows, int64_t extent, int64_t span,
                             int64_t stride, int64_t before, int64_t after) {
  const int64_t first = range.begin * stride - before;
  const int64_t end = (range.end - 1) * stride - before + span;
  WindowShare share{{std::clamp<int64_t>(first, 0, extent), std::clamp<int64_t>(end, 0, extent)},
                    std::max<int64_t>(-first, 0),
                    std::max<int64_t>(end - extent, 0)};
  if (range.end == windows) // the rounding of the whole decides how far the last window reaches
    share.pixels.end = extent, share.after = after;
  return share;
}

WindowShare share_of_pixels(Range range, int64_t windows, int64_t span, int64_t stride,
                            int64_t before) {
  // The first window that reaches the first pixel; with strides beyond the span, one before it.
  int64_t reaching = range.begin + before - span + 1;
  int64_t first = reaching > 0 ? (reaching + stride - 1) / stride : 0;
  first = std::min(first, (range.begin + before) / stride);
  const int64_t end = std::min((range.end - 1 + before) / stride + 1, windows);
  first = std::min(first, end - 1);
  const int64_t ahead = before + range.begin - first * stride;
  const int64_t reached = (end - first - 1) * stride + span - ahead;
  return {{first, end}, ahead, std::max<int64_t>(reached - range.extent(), 0)};
}

int axis_of(const Factor& factor) {
  return factor.name == "height" ? 2 : factor.name == "width" ? 3 : -1;
}

void set_padding(Attributes& attrs, int dim, int64_t before, int64_t after) {
  std::vector<int64_t> pad = attrs.integers("pad"); // top, left, bottom, right
  const size_t at = static_cast<size_t>(dim - 2);
  pad[at] = before, pad[at + 2] = after;
  attrs.set("pad", pad);
}

AttrDef precision_attr() {
  return {.name = "precision",
          .kind = AttrKind::text,
          .fallback = Attribute{std::string("default")},
          .doc = "how its three contractions multiply; `default`: as `--precision` says; fp32 on "
                 "targets that have no other",
          .choices = {"default", "fp32", "3xtf32", "tf32", "bf16"}};
}

AttrDef blocks_attr() {
  return {.name = "blocks",
          .kind = AttrKind::integer,
          .fallback = Attribute{int64_t{kernel::exact_blocks}},
          .doc = "of the 8 equal blocks whose sums exact plans add up as a tree, those that this "
                 "node holds: 1, 2, 4 or 8; fewer than 8 where the sum is cut over devices",
          .implied = true};
}

void check_blocks(InferContext& c) {
  if (int64_t blocks = c.attrs.integer("blocks"); !kernel::is_exact_blocks(blocks))
    c.error(fmt::format("`blocks` is {}, must be 1, 2, 4 or 8", blocks));
}

AttrDef kernel_attr() {
  return {.name = "kernel",
          .kind = AttrKind::integers,
          .doc = "window height and width in pixels",
          .min = 1,
          .max = 4096,
          .length = 2};
}

AttrDef stride_attr() {
  return {.name = "stride",
          .kind = AttrKind::integers,
          .fallback = Attribute{std::vector<int64_t>{1, 1}},
          .doc = "pixels between windows, vertical and horizontal",
          .min = 1,
          .max = 4096,
          .length = 2};
}

AttrDef pad_attr() {
  return {.name = "pad",
          .kind = AttrKind::integers,
          .fallback = Attribute{std::vector<int64_t>{0, 0, 0, 0}},
          .doc = "pixels of padding: top, left, bottom, right",
          .min = 0,
          .max = 4096,
          .length = 4};
}

} // namespace netc::ops
