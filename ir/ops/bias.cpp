// Adding a bias to every channel, and the sum over pixels that is its gradient.

#include "ir/ops/common.h"

namespace netc::ops {

namespace {

void infer_bias(InferContext& c) {
  if (!c.expect_rank(0, {2, 4}) || !c.expect_rank(1, {1}))
    return;
  if (c.operands[0].shape[1] != c.operands[1].shape[0])
    c.error(fmt::format("the bias {} does not fit the {} channels of {}", c.operands[1].str(),
                        c.operands[0].shape[1], c.operands[0].str()));
  c.results = {c.operands[0]};
}

std::vector<Value*> bias_vjp(VjpContext& c) {
  Value* db = c.wanted[1]
                  ? c.builder.value(channel_sum, c.node.name + ".bias_grad", {c.cotangents[0]})
                  : nullptr;
  return {c.cotangents[0], db};
}

/// Elements of one channel in one sample.
int64_t channel_extent(const Shape& shape) {
  return shape.size() == 4 ? shape[2] * shape[3] : 1;
}

void bias_reference(RefContext& c) {
  const Shape& shape = c.results[0].type.shape;
  int64_t plane = channel_extent(shape);
  for (size_t i = 0; i < c.results[0].data.size(); ++i) {
    size_t channel = static_cast<size_t>(static_cast<int64_t>(i) / plane % shape[1]);
    c.results[0].data[i] = c.operands[0]->data[i] + c.operands[1]->data[channel];
  }
}

void channel_sum_reference(RefContext& c) {
  const Shape& shape = c.operands[0]->type.shape;
  int64_t plane = channel_extent(shape);
  for (size_t i = 0; i < c.operands[0]->data.size(); ++i)
    c.results[0].data[static_cast<size_t>(static_cast<int64_t>(i) / plane % shape[1])] +=
        c.operands[0]->data[i];
}

/// The kernel with partial sums over parts of the pixels. `x`: its type as the body indexes it.
kernel::Kernel channel_sum_by_parts(const Node& node, TensorType x, int64_t parts,
                                    std::vector<kernel::Stmt> body) {
  const Value& operand = *node.operands[0];
  const Layout layout = x.shape.size() == 4 ? operand.layout : Layout::row_major;
  const int64_t channels = operand.type.shape[1];
  return {.name = node.name,
          .params = {{"x", std::move(x), layout, kernel::Access::in},
                     {"sum", node.result()->type, Layout::row_major, kernel::Access::out},
                     {"partial",
                      {DType::f32, {parts * channels}},
                      Layout::row_major,
                      kernel::Access::workspace}},
          .body = std::move(body)};
}

/// Sums the rows of each block of the batch in parts, then the parts. Their number depends on
/// neither the threads nor how many devices hold the batch, so the result does not, too.
kernel::Kernel channel_sum_kernel(const Node& node) {
  constexpr int64_t most_parts = 4;
  const Value& x = *node.operands[0];
  const kernel::PixelShape p = kernel::pixel_shape(x.type.shape);
  const int64_t blocks = integer(node, "blocks"), longest = (p.n + blocks - 1) / blocks * p.h;
  const int64_t parts = std::min(longest, most_parts);
  Body body;
  auto add_rows = [&](Body& b, const Expr& block, const Expr& part) {
    b.alloc("acc", DType::f32, p.c);
    b.loop(StmtKind::lanes, "c", 0, p.c, [&](Expr c, Body& l) { l.store("acc", {c}, Expr(0.0)); });
    Expr first = b.let("first_row", block * Expr(p.n) / Expr(blocks) * Expr(p.h));
    Expr rows = b.let("rows", (block + Expr(1)) * Expr(p.n) / Expr(blocks) * Expr(p.h) - first);
    b.loop(StmtKind::serial, "row", first + part * rows / Expr(parts),
           first + (part + Expr(1)) * rows / Expr(parts), [&](Expr row, Body& r) {
             r.loop(StmtKind::serial, "w", 0, p.w, [&](Expr w, Body& pixel) {
               pixel.loop(StmtKind::lanes, "c1", 0, p.c, [&](Expr c, Body& l) {
                 Expr value =
                     kernel::load("x", DType::f32,
                                  kernel::logical_indices(x.type.shape.size(), row / Expr(p.h),
                                                          row % Expr(p.h), w, c));
                 l.store("acc", {c}, kernel::load("acc", DType::f32, {c}) + value);
               });
             });
           });
    b.loop(StmtKind::lanes, "c2", 0, p.c, [&](Expr c, Body& l) {
      l.store("partial", {(block * Expr(parts) + part) * Expr(p.c) + c},
              kernel::load("acc", DType::f32, {c}));
    });
  };
  // The blocks innermost: those of a small batch are empty but for some, which threads share.
  body.loop(StmtKind::parallel, "part", 0, parts, [&](Expr part, Body& each) {
    each.loop(StmtKind::parallel, "block", 0, blocks,
              [&](Expr block, Body& b) { add_rows(b, block, part); });
  });
  body.barrier();
  body.loop(StmtKind::parallel, "one", 0, 1, [&](Expr, Body& b) {
    b.loop(StmtKind::lanes, "c", 0, p.c, [&](Expr c, Body& l) {
      Expr element = kernel::load("partial", DType::f32, {kernel::var("i") * Expr(p.c) + c});
      Expr sum =
          l.reduce("sum_c", "+", "i", 0, blocks * parts, element, false, static_cast<int>(blocks));
      l.store("sum", {c}, sum);
    });
  });
  return channel_sum_by_parts(node, x.type, blocks * parts, body.take());
}

/// Adds the parts of each channel: of many a block together, of few a thread.
void add_parts(Body& body, int64_t parts, int64_t channels) {
  constexpr int64_t few = 32, threads = 256;
  auto element = [&](const Expr& c) {
    return kernel::load("partial", DType::f32, {kernel::var("i") * Expr(channels) + c});
  };
  if (parts > few)
    return body.loop(StmtKind::parallel, "c", 0, channels, [&](Expr c, Body& b) {
      Expr sum = b.reduce("sum_c", "+", "i", 0, parts, element(c), true);
      b.loop(StmtKind::lanes, "l", 0, 1,
             [&](Expr l, Body& one) { one.store("sum", {c + l}, sum); });
    });
  body.loop(StmtKind::parallel, "group", 0, (channels + threads - 1) / threads,
            [&](Expr group, Body& b) {
              Expr first = b.let("first", group * Expr(threads));
              b.loop(StmtKind::lanes, "c", first, min(first + Expr(threads), Expr(channels)),
                     [&](Expr c, Body& l) {
                       l.store("sum", {c}, l.reduce("sum_c", "+", "i", 0, parts, element(c)));
                     });
            });
}

/// On a GPU each thread adds the pixels of a part in its channel: as many parts as make threads
/// enough to keep the memory busy. Then the parts are added. Pixels are counted through where they
/// lie one after the other.
kernel::Kernel channel_sum_on_gpu(const Node& node) {
  constexpr int64_t most_threads = 1 << 18, least_pixels = 8, threads = 256;
  const Value& x = *node.operands[0];
  if (x.type.shape.size() == 4 && x.layout != Layout::nhwc)
    return channel_sum_kernel(node);
  const int64_t channels = x.type.shape[1], pixels = x.type.elements() / channels;
  const int64_t parts =
      std::clamp<int64_t>(std::min(pixels / least_pixels, most_threads / channels), 1, pixels);
  const int64_t quotient = pixels / parts, rest = pixels % parts, sums = parts * channels;
  Body body;
  body.loop(StmtKind::parallel, "group", 0, (sums + threads - 1) / threads,
            [&](Expr group, Body& b) {
              Expr first = b.let("first", group * Expr(threads));
              b.loop(StmtKind::lanes, "l", first, min(first + Expr(threads), Expr(sums)),
                     [&](Expr at, Body& l) {
                       Expr part = l.let("part", at / Expr(channels));
                       Expr c = l.let("c", at % Expr(channels));
                       Expr begin = l.let("begin", part * Expr(quotient) + min(part, Expr(rest)));
                       Expr end = l.let("end", begin + Expr(quotient) +
                                                   select(part < Expr(rest), Expr(1), Expr(0)));
                       Expr element = kernel::load("x", DType::f32, {kernel::var("i"), c});
                       l.store("partial", {at}, l.reduce("sum_c", "+", "i", begin, end, element));
                     });
            });
  body.barrier();
  add_parts(body, parts, channels);
  return channel_sum_by_parts(node, {DType::f32, {pixels, channels}}, parts, body.take());
}

std::vector<Factor> channel_sum_factors(const Node& node) {
  const Shape& x = node.operands[0]->type.shape;
  std::vector<Factor> factors = {{"batch", x[0], FactorKind::reduction, {0}, {-1}},
                                 {"channel", x[1], FactorKind::parallel, {1}, {0}}};
  if (x.size() == 4) {
    factors.push_back({"height", x[2], FactorKind::reduction, {2}, {-1}});
    factors.push_back({"width", x[3], FactorKind::reduction, {3}, {-1}});
  }
  return factors;
}

} // namespace

const OpDef bias{.name = "bias",
                 .doc = "y = x + b, b broadcast over batch and pixels.",
                 .operands = {{"x", "[n, c] or [n, c, h, w]"}, {"b", "[c]"}},
                 .attrs = {},
                 .results = {{"", "as x"}},
                 .infer = infer_bias,
                 .vjp = bias_vjp,
                 .flops = flops_per_element<1>,
                 .factors = map_factors,
                 .lower = MapLowering{[](MapContext& c) { return c.operand(0) + c.operand(1); }},
                 .reference = bias_reference,
                 .in_place = {{0, 0}}};

const OpDef channel_sum{.name = "channel_sum",
                        .doc = "Sum over batch and pixels: the cotangent of a bias.",
                        .operands = {{"x", "[n, c] or [n, c, h, w]"}},
                        .attrs = {blocks_attr()},
                        .results = {{"", "[c]"}},
                        .infer =
                            [](InferContext& c) {
                              check_blocks(c);
                              if (c.expect_rank(0, {2, 4}))
                                c.results = {{DType::f32, {c.operands[0].shape[1]}}};
                            },
                        .flops = [](const Node& node) { return node.operands[0]->type.elements(); },
                        .factors = channel_sum_factors,
                        .lower = KernelLowering{channel_sum_kernel, channel_sum_on_gpu},
                        .reference = channel_sum_reference};

} // namespace netc::ops
