// Grouped two-dimensional convolution (cross-correlation, as in every framework) and its gradients.

#include "ir/ops/common.h"

namespace netc::ops {

namespace {

const std::vector<AttrDef>& window_attrs() {
  static const std::vector<AttrDef> attrs = {
      stride_attr(),
      pad_attr(),
      {.name = "dilation",
       .kind = AttrKind::integers,
       .fallback = Attribute{std::vector<int64_t>{1, 1}},
       .doc = "pixels between taps of the kernel, vertical and horizontal",
       .min = 1,
       .max = 4096,
       .length = 2},
      {.name = "groups",
       .kind = AttrKind::integer,
       .fallback = Attribute{int64_t{1}},
       .doc = "output channels of group g read input channels of group g only",
       .min = 1},
      precision_attr()};
  return attrs;
}

std::vector<AttrDef> window_attrs_and(std::vector<AttrDef> more) {
  more.insert(more.end(), window_attrs().begin(), window_attrs().end());
  return more;
}

/// Attributes of a pass: those of the window, what is its own, and the blocks of its sum.
std::vector<AttrDef> pass_attrs(std::vector<AttrDef> own) {
  std::vector<AttrDef> attrs = window_attrs_and(std::move(own));
  attrs.push_back(blocks_attr());
  return attrs;
}

Window window_with_kernel(const Attributes& attrs, int64_t kernel_h, int64_t kernel_w) {
  Window w = window_of(attrs);
  w.kernel_h = kernel_h, w.kernel_w = kernel_w;
  return w;
}

/// Pixels a dilated kernel spans.
int64_t span(int64_t kernel, int64_t dilation) {
  return (kernel - 1) * dilation + 1;
}

void infer_conv2d(InferContext& c) {
  check_blocks(c);
  if (!c.expect_rank(0, {4}) || !c.expect_rank(1, {4}))
    return;
  const Shape &x = c.operands[0].shape, &w = c.operands[1].shape;
  int64_t groups = c.attrs.integer("groups");
  if (x[1] % groups || w[0] % groups) {
    c.error(
        fmt::format("{} groups do not divide {} input and {} output channels", groups, x[1], w[0]));
    return;
  }
  if (w[1] * groups != x[1]) {
    c.error(fmt::format("weight {} reads {} channels in {} group{}, the input {} has {}",
                        c.operands[1].str(), w[1] * groups, groups, groups == 1 ? "" : "s",
                        c.operands[0].str(), x[1]));
    return;
  }
  Window win = window_with_kernel(c.attrs, w[2], w[3]);
  int64_t kernel_h = span(win.kernel_h, win.dilation_h);
  int64_t kernel_w = span(win.kernel_w, win.dilation_w);
  int64_t oh = Window::count(x[2], kernel_h, win.stride_h, win.top, win.bottom, false);
  int64_t ow = Window::count(x[3], kernel_w, win.stride_w, win.left, win.right, false);
  if (oh < 1 || ow < 1) {
    c.error(fmt::format("a kernel of {}x{} pixels does not fit the input of {}x{} with padding "
                        "{}+{} and {}+{}",
                        kernel_h, kernel_w, x[2], x[3], win.top, win.bottom, win.left, win.right));
    return;
  }
  c.results = {{DType::f32, {x[0], w[0], oh, ow}}};
}

void infer_data_gradient(InferContext& c) {
  check_blocks(c);
  const Shape &dy = c.operands[0].shape, &w = c.operands[1].shape;
  c.results = {{DType::f32,
                {dy[0], w[1] * c.attrs.integer("groups"), c.attrs.integer("height"),
                 c.attrs.integer("width")}}};
}

void infer_weight_gradient(InferContext& c) {
  check_blocks(c);
  const Shape &x = c.operands[0].shape, &dy = c.operands[1].shape;
  const std::vector<int64_t>& kernel = c.attrs.integers("kernel");
  c.results = {{DType::f32, {dy[1], x[1] / c.attrs.integer("groups"), kernel[0], kernel[1]}}};
}

std::vector<Value*> conv2d_vjp(VjpContext& c) {
  Value *x = c.node.operands[0], *w = c.node.operands[1], *dy = c.cotangents[0];
  std::vector<Value*> grads(2, nullptr);
  Attributes shared = c.node.attrs;
  shared.erase("blocks"); // The gradients sum over other dimensions.
  if (c.wanted[0]) {
    Attributes attrs = shared;
    attrs.set("height", x->type.shape[2]);
    attrs.set("width", x->type.shape[3]);
    grads[0] = c.builder.value(conv2d_data_gradient, c.node.name + ".data_grad", {dy, w}, attrs);
  }
  if (c.wanted[1]) {
    Attributes attrs = shared;
    attrs.set("kernel", std::vector<int64_t>{w->type.shape[2], w->type.shape[3]});
    grads[1] =
        c.builder.value(conv2d_weight_gradient, c.node.name + ".weight_grad", {x, dy}, attrs);
  }
  return grads;
}

/// The shapes of a convolution, whichever of its three passes a node is.
struct Geometry {
  Shape x, w, y;
  Window window;
  int64_t groups;
};

Geometry geometry(const Node& node) {
  const Shape& result = node.result()->type.shape;
  Geometry g{node.operands[0]->type.shape,
             node.operands[1]->type.shape,
             result,
             {},
             integer(node, "groups")};
  if (node.op == &conv2d_data_gradient)
    std::swap(g.x, g.y);
  else if (node.op == &conv2d_weight_gradient)
    std::swap(g.w, g.y);
  g.window = window_with_kernel(node.attrs, g.w[2], g.w[3]);
  return g;
}

int64_t conv2d_macs(const Node& node) {
  Geometry g = geometry(node);
  return element_count(g.y) * g.w[1] * g.w[2] * g.w[3];
}

int64_t conv2d_flops(const Node& node) {
  return 2 * conv2d_macs(node);
}

/// The seven loops of a convolution with the dimension each walks in (x, w, y); the three passes
/// differ in which of the three is the result and so in what is reduced.
std::vector<Factor> conv2d_factors(const Node& node) {
  Geometry g = geometry(node);
  struct Row {
    const char* name;
    int64_t extent;
    int x, w, y;
  };
  // Images are cut along rows of the result; a weight gradient sums over those of y.
  const Shape& pixels = node.op == &conv2d_data_gradient ? g.x : g.y;
  const Row rows[] = {{"batch", g.x[0], 0, -1, 0},
                      {"group", g.groups, 1, 0, 1},
                      {"out_channel", g.w[0] / g.groups, -1, 0, 1},
                      {"in_channel", g.w[1], 1, 1, -1},
                      {"height", pixels[2], 2, -1, 2},
                      {"width", pixels[3], 3, -1, 3},
                      {"kernel_height", g.w[2], 2, 2, -1},
                      {"kernel_width", g.w[3], 3, 3, -1}};
  std::vector<Factor> factors;
  for (const Row& row : rows) {
    int result = row.y;
    std::vector<int> operands = {row.x, row.w};
    if (node.op == &conv2d_data_gradient)
      result = row.x, operands = {row.y, row.w};
    else if (node.op == &conv2d_weight_gradient)
      result = row.w, operands = {row.x, row.y};
    FactorKind kind = std::string_view(row.name) == "group" ? FactorKind::group
                      : row.x >= 2                          ? FactorKind::window
                      : result < 0                          ? FactorKind::reduction
                                                            : FactorKind::parallel;
    factors.push_back({row.name, row.extent, kind, operands, {result}});
  }
  return factors;
}

void share_rows(ShareContext& c, int dim) {
  const Geometry g = geometry(c.node);
  const size_t d = static_cast<size_t>(dim);
  const bool rows = dim == 2;
  const int64_t reach = rows ? span(g.window.kernel_h, g.window.dilation_h)
                             : span(g.window.kernel_w, g.window.dilation_w);
  const int64_t stride = rows ? g.window.stride_h : g.window.stride_w;
  const int64_t before = rows ? g.window.top : g.window.left;
  const int64_t after = rows ? g.window.bottom : g.window.right;
  if (c.node.op == &conv2d_data_gradient) {
    WindowShare share = share_of_pixels(c.range, g.y[d], reach, stride, before);
    c.operands[0][d] = share.pixels;
    c.results[0][d] = c.range;
    c.attrs.set(rows ? "height" : "width", c.range.extent());
    return set_padding(c.attrs, dim, share.before, share.after);
  }
  WindowShare share = share_of_windows(c.range, g.y[d], g.x[d], reach, stride, before, after);
  if (share.pixels.empty()) {
    c.error = fmt::format("windows [{}, {}) of its {} lie in padding alone: give them to a device "
                          "with others",
                          c.range.begin, c.range.end, c.factor.name);
    return;
  }
  c.operands[0][d] = share.pixels;
  if (c.node.op == &conv2d)
    c.results[0][d] = c.range;
  else
    c.operands[1][d] = c.range;
  set_padding(c.attrs, dim, share.before, share.after);
}

/// Shares of groups are groups; channels of a group are cut only where there is one.
void conv2d_share(ShareContext& c) {
  const int64_t groups = integer(c.node, "groups");
  if (c.factor.name == "group")
    c.attrs.set("groups", c.range.extent());
  else if (c.factor.kind == FactorKind::window && axis_of(c.factor) < 0)
    c.error = "the pixels of a kernel stay together";
  else if (axis_of(c.factor) > 0)
    share_rows(c, axis_of(c.factor));
  else if (c.factor.name != "batch" && groups > 1)
    c.error =
        fmt::format("its channels are in {} groups, which are cut between groups only", groups);
}

/// Calls fn(x index, w index, y index) for every product of the convolution.
template <class Fn> void for_each_product(const Geometry& g, Fn fn) {
  int64_t out_per_group = g.w[0] / g.groups;
  for_each4(g.y, [&](int64_t n, int64_t k, int64_t oh, int64_t ow) {
    int64_t first = k / out_per_group * g.w[1];
    size_t y = at4(g.y, n, k, oh, ow);
    for (int64_t c = 0; c < g.w[1]; ++c)
      for (int64_t r = 0; r < g.w[2]; ++r)
        for (int64_t s = 0; s < g.w[3]; ++s) {
          int64_t h = oh * g.window.stride_h - g.window.top + r * g.window.dilation_h;
          int64_t w = ow * g.window.stride_w - g.window.left + s * g.window.dilation_w;
          if (h >= 0 && h < g.x[2] && w >= 0 && w < g.x[3])
            fn(at4(g.x, n, first + c, h, w), at4(g.w, k, c, r, s), y);
        }
  });
}

void conv2d_reference(RefContext& c) {
  const auto &x = c.operands[0]->data, &w = c.operands[1]->data;
  auto& y = c.results[0].data;
  for_each_product(geometry(c.node),
                   [&](size_t xi, size_t wi, size_t yi) { y[yi] += x[xi] * w[wi]; });
}

void data_gradient_reference(RefContext& c) {
  const auto &dy = c.operands[0]->data, &w = c.operands[1]->data;
  auto& dx = c.results[0].data;
  for_each_product(geometry(c.node),
                   [&](size_t xi, size_t wi, size_t yi) { dx[xi] += dy[yi] * w[wi]; });
}

void weight_gradient_reference(RefContext& c) {
  const auto &x = c.operands[0]->data, &dy = c.operands[1]->data;
  auto& dw = c.results[0].data;
  for_each_product(geometry(c.node),
                   [&](size_t xi, size_t wi, size_t yi) { dw[wi] += x[xi] * dy[yi]; });
}

Value* build_conv2d(LayerContext& c) {
  Value* x = c.inputs[0];
  int64_t groups = c.keys.integer("groups"), filters = c.keys.integer("filters");
  const std::vector<int64_t>& kernel = c.keys.integers("kernel");
  if (x->type.shape.size() != 4) {
    c.diagnostics.error(c.loc, fmt::format("conv2d `{}`: reads {}, expected an image of rank 4",
                                           c.name, x->type.str()));
    return nullptr;
  }
  int64_t channels = x->type.shape[1];
  if (channels % groups || filters % groups) {
    c.diagnostics.error(c.loc, fmt::format("conv2d `{}`: {} groups do not divide {} input channels "
                                           "and {} filters",
                                           c.name, groups, channels, filters));
    return nullptr;
  }
  int64_t taps = kernel[0] * kernel[1];
  Value* w = c.parameter({.name = "weight",
                          .type = {DType::f32, {filters, channels / groups, kernel[0], kernel[1]}},
                          .init = "weight",
                          .fan_in = channels / groups * taps,
                          .fan_out = filters / groups * taps});
  Attributes attrs;
  for (const AttrDef& def : window_attrs())
    for (const auto& [name, value] : c.keys)
      if (name == def.name)
        attrs.set(name, value);
  Node* node = c.apply(conv2d, c.name, {x, w}, attrs);
  if (!node || !c.keys.flag("bias"))
    return node ? node->result() : nullptr;
  Value* b =
      c.parameter({.name = "bias", .type = {DType::f32, {filters}}, .init = "bias", .fan_in = 1});
  return c.apply(bias, c.name + ".add_bias", {node->result(), b}, {})->result();
}

LayerDef conv2d_layer() {
  return {.keys = window_attrs_and({{.name = "filters",
                                     .kind = AttrKind::integer,
                                     .doc = "output channels, over all groups",
                                     .min = 1,
                                     .max = 1 << 20},
                                    kernel_attr(),
                                    {.name = "bias",
                                     .kind = AttrKind::boolean,
                                     .fallback = Attribute{true},
                                     .doc = "add a learned bias to each output channel"}}),
          .build = build_conv2d,
          .parameters = true};
}

} // namespace

const OpDef conv2d{
    .name = "conv2d",
    .doc = "y[n,k,i,j] = sum over c,r,s of x[n,c,i sh - top + r dh,j sw - left + s dw] w[k,c,r,s], "
           "c running over the input channels of k's group; pixels outside the image are 0.",
    .operands = {{"x", "images [n, c, h, w]"}, {"w", "weights [k, c / groups, r, s]"}},
    .attrs = pass_attrs({}),
    .results = {{"", "[n, k, oh, ow]"}},
    .infer = infer_conv2d,
    .vjp = conv2d_vjp,
    .macs = conv2d_macs,
    .flops = conv2d_flops,
    .factors = conv2d_factors,
    .share = conv2d_share,
    .lower = TemplateLowering{"conv2d_forward"},
    .reference = conv2d_reference,
    .layer = conv2d_layer()};

const OpDef conv2d_data_gradient{
    .name = "conv2d_data_gradient",
    .doc = "Cotangent of conv2d's images from that of its result.",
    .operands = {{"dy", "cotangent of the result"}, {"w", "weights"}},
    .attrs = pass_attrs(
        {{.name = "height", .kind = AttrKind::integer, .doc = "height of the images", .min = 1},
         {.name = "width", .kind = AttrKind::integer, .doc = "width of the images", .min = 1}}),
    .results = {{"", "as the images"}},
    .infer = infer_data_gradient,
    .macs = conv2d_macs,
    .flops = conv2d_flops,
    .factors = conv2d_factors,
    .share = conv2d_share,
    .lower = TemplateLowering{"conv2d_data_gradient"},
    .reference = data_gradient_reference};

const OpDef conv2d_weight_gradient{.name = "conv2d_weight_gradient",
                                   .doc = "Cotangent of conv2d's weights from that of its result.",
                                   .operands = {{"x", "images"}, {"dy", "cotangent of the result"}},
                                   .attrs = pass_attrs({kernel_attr()}),
                                   .results = {{"", "as the weights"}},
                                   .infer = infer_weight_gradient,
                                   .macs = conv2d_macs,
                                   .flops = conv2d_flops,
                                   .factors = conv2d_factors,
                                   .share = conv2d_share,
                                   .lower = TemplateLowering{"conv2d_weight_gradient"},
                                   .reference = weight_gradient_reference};

} // namespace netc::ops
