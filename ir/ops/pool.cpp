// Max and average pooling over spatial windows.

#include "ir/ops/pool_lowering.h"

#include <cmath>
#include <limits>

namespace netc::ops {

namespace {

void infer_pool(InferContext& c) {
  if (!c.expect_rank(0, {4}))
    return;
  const Shape& x = c.operands[0].shape;
  Window w = window_of(c.attrs);
  if (w.top >= w.kernel_h || w.bottom >= w.kernel_h || w.left >= w.kernel_w ||
      w.right >= w.kernel_w) {
    c.error(fmt::format("padding [{}, {}, {}, {}] must be smaller than the {}x{} window, or a "
                        "window holds no pixel",
                        w.top, w.left, w.bottom, w.right, w.kernel_h, w.kernel_w));
    return;
  }
  bool ceil = c.attrs.text("rounding") == "ceil";
  int64_t oh = Window::count(x[2], w.kernel_h, w.stride_h, w.top, w.bottom, ceil);
  int64_t ow = Window::count(x[3], w.kernel_w, w.stride_w, w.left, w.right, ceil);
  if (oh < 1 || ow < 1) {
    c.error(fmt::format("a window of {}x{} does not fit the input of {}x{}", w.kernel_h, w.kernel_w,
                        x[2], x[3]));
    return;
  }
  c.results = {{DType::f32, {x[0], x[1], oh, ow}}};
}

void infer_max_pool(InferContext& c) {
  infer_pool(c);
  if (c.results.empty())
    return;
  Window w = window_of(c.attrs);
  if (w.kernel_h * w.kernel_w > 256)
    c.error(fmt::format("a window of {}x{} has more than 256 pixels, which the index of the "
                        "maximum cannot tell apart",
                        w.kernel_h, w.kernel_w));
  c.results.push_back({DType::u8, c.results[0].shape});
}

void infer_pool_grad(InferContext& c) {
  const Shape& dy = c.operands[0].shape;
  c.results = {{DType::f32, {dy[0], dy[1], c.attrs.integer("height"), c.attrs.integer("width")}}};
}

/// Calls fn(window's element, pixel's element, index in the window) for every pixel of every
/// window, and done(window's element, pixels counted) after each window.
template <class Fn, class Done>
void for_each_window(const Node& node, const Shape& x, const Shape& y, Fn fn, Done done) {
  Window win = window_of(node.attrs);
  bool full = node.attrs.has("divisor") && full_divisor(node);
  for_each4(y, [&](int64_t n, int64_t ch, int64_t oh, int64_t ow) {
    int64_t h0 = oh * win.stride_h - win.top, w0 = ow * win.stride_w - win.left;
    int64_t pixels = 0;
    for (int64_t r = 0; r < win.kernel_h; ++r)
      for (int64_t s = 0; s < win.kernel_w; ++s) {
        int64_t h = h0 + r, w = w0 + s;
        bool inside = h >= 0 && h < x[2] && w >= 0 && w < x[3];
        bool padded = h < x[2] + win.bottom && w < x[3] + win.right;
        pixels += full ? padded : inside;
        if (inside)
          fn(at4(y, n, ch, oh, ow), at4(x, n, ch, h, w), r * win.kernel_w + s);
      }
    done(at4(y, n, ch, oh, ow), pixels);
  });
}

void max_pool_reference(RefContext& c) {
  const RefTensor& x = *c.operands[0];
  auto &y = c.results[0].data, &index = c.results[1].data;
  std::fill(y.begin(), y.end(), -std::numeric_limits<double>::infinity());
  for_each_window(
      c.node, x.type.shape, c.results[0].type.shape,
      [&](size_t o, size_t i, int64_t at) {
        if (!std::isnan(y[o]) && !(x.data[i] <= y[o])) // A NaN is taken and stays.
          y[o] = x.data[i], index[o] = static_cast<double>(at);
      },
      [](size_t, int64_t) {});
}

void max_pool_grad_reference(RefContext& c) {
  const RefTensor &dy = *c.operands[0], &index = *c.operands[1];
  for_each_window(
      c.node, c.results[0].type.shape, dy.type.shape,
      [&](size_t o, size_t i, int64_t at) {
        if (index.data[o] == static_cast<double>(at))
          c.results[0].data[i] += dy.data[o];
      },
      [](size_t, int64_t) {});
}

void avg_pool_reference(RefContext& c) {
  const RefTensor& x = *c.operands[0];
  auto& y = c.results[0].data;
  for_each_window(
      c.node, x.type.shape, c.results[0].type.shape,
      [&](size_t o, size_t i, int64_t) { y[o] += x.data[i]; },
      [&](size_t o, int64_t pixels) { y[o] /= static_cast<double>(pixels); });
}

void avg_pool_grad_reference(RefContext& c) {
  const RefTensor& dy = *c.operands[0];
  std::vector<size_t> under;
  for_each_window(
      c.node, c.results[0].type.shape, dy.type.shape,
      [&](size_t, size_t i, int64_t) { under.push_back(i); },
      [&](size_t o, int64_t pixels) {
        for (size_t i : under)
          c.results[0].data[i] += dy.data[o] / static_cast<double>(pixels);
        under.clear();
      });
}

std::vector<AttrDef> pool_attrs(std::vector<AttrDef> more) {
  std::vector<AttrDef> attrs = {
      kernel_attr(),
      stride_attr(),
      pad_attr(),
      {.name = "rounding",
       .kind = AttrKind::text,
       .doc = "how the number of windows is rounded: `floor` (the paper, PyTorch) or `ceil` "
              "(Caffe, cuda-convnet)",
       .choices = {"floor", "ceil"}}};
  attrs.insert(attrs.end(), more.begin(), more.end());
  return attrs;
}

AttrDef divisor_attr() {
  return {.name = "divisor",
          .kind = AttrKind::text,
          .fallback = Attribute{std::string("clipped")},
          .doc =
              "what the sum is divided by: pixels of the window inside the image (`clipped`), or "
              "also those in its padding (`full`)",
          .choices = {"clipped", "full"}};
}

std::vector<AttrDef> size_attrs(std::vector<AttrDef> attrs) {
  attrs.push_back(
      {.name = "height", .kind = AttrKind::integer, .doc = "height of the images", .min = 1});
  attrs.push_back(
      {.name = "width", .kind = AttrKind::integer, .doc = "width of the images", .min = 1});
  return attrs;
}

Attributes with_size(const Node& node) {
  Attributes attrs = node.attrs;
  attrs.set("height", node.operands[0]->type.shape[2]);
  attrs.set("width", node.operands[0]->type.shape[3]);
  return attrs;
}

int64_t pool_flops(const Node& node) {
  Window win = window_of(node.attrs);
  return node.result()->type.elements() * win.kernel_h * win.kernel_w;
}

/// Pixels are windows of the operand; channels are independent.
std::vector<Factor> pool_factors(const Node& node) {
  std::vector<Factor> factors = map_factors(node);
  factors[2].kind = factors[3].kind = FactorKind::window;
  return factors;
}

void pool_share(ShareContext& c) {
  const int dim = axis_of(c.factor);
  if (dim < 0)
    return;
  if (c.node.op == &avg_pool2d_grad) {
    c.error = "a mean's gradient must know where the image ends: cut it by batch or channels";
    return;
  }
  const size_t d = static_cast<size_t>(dim);
  const Window w = window_of(c.node.attrs);
  const bool rows = dim == 2;
  const int64_t kernel = rows ? w.kernel_h : w.kernel_w, stride = rows ? w.stride_h : w.stride_w;
  const int64_t before = rows ? w.top : w.left, after = rows ? w.bottom : w.right;
  const Shape& read = c.node.operands[0]->type.shape;
  WindowShare share;
  if (c.node.op == &max_pool2d_grad) {
    share = share_of_pixels(c.range, read[d], kernel, stride, before);
    c.attrs.set(rows ? "height" : "width", c.range.extent());
  } else {
    share = share_of_windows(c.range, c.factor.extent, read[d], kernel, stride, before, after);
  }
  for (Box& operand : c.operands)
    operand[d] = share.pixels;
  for (Box& result : c.results)
    result[d] = c.range;
  set_padding(c.attrs, dim, share.before, share.after);
}

} // namespace

bool full_divisor(const Node& node) {
  return node.attrs.text("divisor") == "full";
}

const OpDef max_pool2d{
    .name = "max_pool2d",
    .doc = "Largest pixel of each window, or its first NaN; windows may overlap (AlexNet: 3x3 with "
           "stride 2).",
    .operands = {{"x", "[n, c, h, w]"}},
    .attrs = pool_attrs({}),
    .results = {{"", "[n, c, oh, ow]"},
                {"argmax", "row-major index of the maximum in its window; the first of equals"}},
    .infer = infer_max_pool,
    .vjp = [](VjpContext& c) -> std::vector<Value*> {
      return {c.builder.value(max_pool2d_grad, c.node.name + ".grad",
                              {c.cotangents[0], c.node.result(1)}, with_size(c.node))};
    },
    .flops = pool_flops,
    .factors = pool_factors,
    .share = pool_share,
    .lower = PixelLowering{max_pool_pixel, pool_rows, true, max_pool_run, pool_taps, Reach::own,
                           nullptr, pool_block},
    .reference = max_pool_reference,
    .layer = LayerDef{}};

const OpDef max_pool2d_grad{
    .name = "max_pool2d_grad",
    .doc = "Sends each window's cotangent to its maximum; gathers, so the order is fixed.",
    .operands = {{"dy", "cotangent of the result"}, {"argmax", "result of max_pool2d"}},
    .attrs = size_attrs(pool_attrs({})),
    .results = {{"", "[n, c, h, w]"}},
    .infer = infer_pool_grad,
    .flops = flops_per_element<4>,
    .factors = pool_factors,
    .share = pool_share,
    .lower = PixelLowering{max_pool_grad_pixel, pool_grad_rows, true, max_pool_grad_run,
                           pool_grad_taps, Reach::own, nullptr, pool_grad_block},
    .reference = max_pool_grad_reference};

const OpDef avg_pool2d{.name = "avg_pool2d",
                       .doc = "Mean of the pixels of each window.",
                       .operands = {{"x", "[n, c, h, w]"}},
                       .attrs = pool_attrs({divisor_attr()}),
                       .results = {{"", "[n, c, oh, ow]"}},
                       .infer = infer_pool,
                       .vjp = [](VjpContext& c) -> std::vector<Value*> {
                         return {c.builder.value(avg_pool2d_grad, c.node.name + ".grad",
                                                 {c.cotangents[0]}, with_size(c.node))};
                       },
                       .flops = pool_flops,
                       .factors = pool_factors,
                       .share = pool_share,
                       .lower = PixelLowering{avg_pool_pixel, pool_rows, true, avg_pool_run,
                                              pool_taps, Reach::own, nullptr, pool_block},
                       .reference = avg_pool_reference,
                       .layer = LayerDef{}};

const OpDef avg_pool2d_grad{.name = "avg_pool2d_grad",
                            .doc = "Spreads each window's cotangent over its pixels.",
                            .operands = {{"dy", "cotangent of the result"}},
                            .attrs = size_attrs(pool_attrs({divisor_attr()})),
                            .results = {{"", "[n, c, h, w]"}},
                            .infer = infer_pool_grad,
                            .flops = flops_per_element<4>,
                            .factors = pool_factors,
                            .share = pool_share,
                            .lower = PixelLowering{avg_pool_grad_pixel, pool_grad_rows, true,
                                                   avg_pool_grad_run, pool_grad_taps, Reach::own,
                                                   nullptr, pool_grad_block},
                            .reference = avg_pool_grad_reference};

} // namespace netc::ops
