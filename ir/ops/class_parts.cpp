// The parts of the loss and of top-k accuracy that see the logits, cut by samples and by classes;
// and what all parts share.

#include "ir/ops/class_parts.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace netc::ops {

namespace {

using kernel::call;
using kernel::Kernel;
using kernel::load;
using kernel::select;
using kernel::var;

/// The dimension of a tensor that the loop over samples (0) or classes (1) walks, or -1.
int walked(Form form, int loop) {
  if (form == Form::logits)
    return loop;
  return loop == 0 && form != Form::one ? 0 : -1;
}

TensorType type_of(Form form, int64_t samples, int64_t classes) {
  switch (form) {
  case Form::logits:
    return {DType::f32, {samples, classes}};
  case Form::samples:
    return {DType::f32, {samples}};
  case Form::labels:
    return {DType::i32, {samples}};
  case Form::one:
    break;
  }
  return {DType::f32, {1}};
}

Expr logit(Expr n, Expr column) {
  return load("logits", DType::f32, {std::move(n), std::move(column)});
}

/// Sample n's label as a column of the logits at hand, which it may lie outside of.
Expr column_of_label(const Node& node, Expr n) {
  return label_of(std::move(n)) - Expr(integer(node, "first_class"));
}

/// A number for each sample; `value(n, body)` emits what it needs.
template <class ValueFn> Kernel for_each_sample(const Node& node, ValueFn value) {
  Body body;
  body.loop(StmtKind::parallel, "n", 0, node.result()->type.shape[0], [&](Expr n, Body& b) {
    Expr element = value(n, b);
    b.loop(StmtKind::lanes, "l", 0, 1,
           [&](Expr l, Body& lane) { lane.store("result", {n + l}, element); });
  });
  return kernel_with_result(node, body);
}

/// Emits the fold of `value` over i, a column of the logits.
Expr fold_classes(const Node& node, Body& body, const char* op, Expr value) {
  return body.reduce("folded", op, "i", 0, node.operands[0]->type.shape[1], std::move(value), true,
                     blocks_of(node));
}

Kernel max_kernel(const Node& node) {
  return for_each_sample(node, [&](const Expr& n, Body& b) {
    return fold_classes(node, b, "max", logit(n, var("i")));
  });
}

Kernel exp_sum_kernel(const Node& node) {
  return for_each_sample(node, [&](const Expr& n, Body& b) {
    Expr largest = b.let("largest", of_sample("maximum", n));
    return fold_classes(node, b, "+", call("exp", {logit(n, var("i")) - largest}));
  });
}

Kernel own_kernel(const Node& node) {
  const int64_t classes = node.operands[0]->type.shape[1];
  return for_each_sample(node, [&](const Expr& n, Body& b) {
    Expr column = b.let("column", column_of_label(node, n));
    Expr here = (column >= Expr(0)) && (column < Expr(classes));
    Expr inside = min(max(column, Expr(0)), Expr(classes - 1));
    return select(here, logit(n, inside), Expr(0.0));
  });
}

Kernel rank_kernel(const Node& node) {
  return for_each_sample(node, [&](const Expr& n, Body& b) {
    Expr column = b.let("column", column_of_label(node, n));
    Expr own = b.let("own_logit", of_sample("own", n));
    Expr before = ranks_before(logit(n, var("i")), var("i"), own, column);
    return fold_classes(node, b, "+", select(before, Expr(1.0), Expr(0.0)));
  });
}

void softmax_pixel(PixelContext& c) {
  Expr largest = c.body.let(c.local("largest"), c.element(1, {c.n}));
  Expr weight = c.body.let(c.local("weight"), Expr(1.0) / c.element(2, {c.n}));
  c.body.loop(StmtKind::lanes, c.local("c"), 0, c.node.result()->type.shape[1],
              [&](Expr ch, Body& l) {
                c.store(l, 0, ch, call("exp", {c.here(0, ch) - largest}) * weight);
              });
}

void part_gradient_pixel(PixelContext& c) {
  gradient_pixel(c, c.element(2, {Expr(0)}), c.element(3, {Expr(0)}),
                 integer(c.node, "first_class"));
}

/// Gives each sample of the result fn(n).
template <class Fn> void fill_samples(RefContext& c, Fn fn) {
  for (size_t n = 0; n < c.results[0].data.size(); ++n)
    c.results[0].data[n] = fn(n);
}

/// Folds the logits of sample n: value = fn(value, logit).
template <class Fn> double fold_row(const RefTensor& logits, size_t n, double value, Fn fn) {
  for (size_t i : row(logits, static_cast<int64_t>(n)))
    value = fn(value, logits.data[i]);
  return value;
}

void max_reference(RefContext& c) {
  fill_samples(c, [&](size_t n) {
    return fold_row(*c.operands[0], n, -std::numeric_limits<float>::max(),
                    [](double a, double b) { return std::max(a, b); });
  });
}

void exp_sum_reference(RefContext& c) {
  fill_samples(c, [&](size_t n) {
    const double largest = c.operands[1]->data[n];
    return fold_row(*c.operands[0], n, 0,
                    [=](double sum, double x) { return sum + std::exp(x - largest); });
  });
}

/// The label of sample n, operand `labels`, as a column of the logits.
double column_of(const RefContext& c, size_t labels, size_t n) {
  return c.operands[labels]->data[n] - static_cast<double>(integer(c.node, "first_class"));
}

void own_reference(RefContext& c) {
  const RefTensor& logits = *c.operands[0];
  fill_samples(c, [&](size_t n) {
    const double column = column_of(c, 1, n);
    const std::vector<size_t> columns = row(logits, static_cast<int64_t>(n));
    const bool here = column >= 0 && column < static_cast<double>(columns.size());
    return here ? logits.data[columns[static_cast<size_t>(column)]] : 0.0;
  });
}

void rank_reference(RefContext& c) {
  fill_samples(c, [&](size_t n) {
    return rank_among(*c.operands[0], static_cast<int64_t>(n), c.operands[1]->data[n],
                      column_of(c, 2, n));
  });
}

void softmax_reference(RefContext& c) {
  const RefTensor& logits = *c.operands[0];
  for (size_t n = 0; n < c.operands[1]->data.size(); ++n)
    for (size_t i : row(logits, static_cast<int64_t>(n)))
      c.results[0].data[i] =
          std::exp(logits.data[i] - c.operands[1]->data[n]) / c.operands[2]->data[n];
}

using PerClass = Forms<Form::logits, Form::logits, Form::samples, Form::samples>;
using Gradient = Forms<Form::logits, Form::logits, Form::labels, Form::one, Form::one>;
using Rank = Forms<Form::samples, Form::logits, Form::samples, Form::labels>;

} // namespace

void infer_forms(InferContext& c, const std::vector<Form>& operands, Form result) {
  const bool logits = operands[0] == Form::logits;
  if (!c.expect_rank(0, {logits ? size_t{2} : size_t{1}}))
    return;
  const int64_t samples = c.operands[0].shape[0], classes = logits ? c.operands[0].shape[1] : 1;
  for (size_t i = 0; i < operands.size(); ++i)
    if (TensorType expected = type_of(operands[i], samples, classes); c.operands[i] != expected)
      c.error(fmt::format("operand `{}` is {}, expected {}", c.op.operands[i].name,
                          c.operands[i].str(), expected.str()));
  if (c.attrs.has("blocks"))
    check_blocks(c);
  c.results = {type_of(result, samples, classes)};
}

std::vector<Factor> factors_of(const Node& node, const std::vector<Form>& operands, Form result) {
  std::vector<Factor> factors;
  for (int loop : {0, 1}) {
    if (walked(operands[0], loop) < 0)
      continue;
    const int64_t extent = node.operands[0]->type.shape[static_cast<size_t>(loop)];
    const int in_result = walked(result, loop);
    Factor factor{loop == 0 ? "batch" : "class",
                  extent,
                  in_result < 0 ? FactorKind::reduction : FactorKind::parallel,
                  {},
                  {in_result}};
    for (Form operand : operands)
      factor.operand_dims.push_back(walked(operand, loop));
    factors.push_back(std::move(factor));
  }
  return factors;
}

int blocks_of(const Node& node) {
  return static_cast<int>(integer(node, "blocks"));
}

AttrDef first_class_attr() {
  return {.name = "first_class",
          .fallback = Attribute{int64_t{0}},
          .doc = "the class of column 0, where the classes are cut over devices",
          .min = 0};
}

/// A share of the classes knows which they are.
void class_share(ShareContext& c) {
  if (c.factor.name == "class")
    c.attrs.set("first_class", integer(c.node, "first_class") + c.range.begin);
}

std::vector<Factor> maximum_factors(const Node& node) {
  std::vector<Factor> factors = Forms<Form::samples, Form::logits>::factors(node);
  factors.back().combine = Combine::max;
  return factors;
}

kernel::Kernel kernel_with_result(const Node& node, Body& body) {
  Kernel k = kernel_of_operands(node);
  k.params.push_back({"result", node.result()->type, Layout::row_major, kernel::Access::out});
  k.body = body.take();
  return k;
}

const OpDef class_max{
    .name = "class_max",
    .doc = "Largest logit of each sample, NaN aside. Cut by classes, devices' results are combined "
           "by their maximum, unlike all other reductions.",
    .operands = {{"logits", "[n, classes]"}},
    .attrs = {blocks_attr()},
    .results = {{"", "[n]"}},
    .infer = Forms<Form::samples, Form::logits>::infer,
    .flops = flops_per_operand_element<1>,
    .factors = maximum_factors,
    .lower = KernelLowering{max_kernel},
    .reference = max_reference};

const OpDef class_exp_sum{
    .name = "class_exp_sum",
    .doc = "Sum over the classes of exp(logit - maximum), for each sample.",
    .operands = {{"logits", "[n, classes]"}, {"maximum", "[n], class_max of all classes"}},
    .attrs = {blocks_attr()},
    .results = {{"", "[n]"}},
    .infer = Forms<Form::samples, Form::logits, Form::samples>::infer,
    .flops = flops_per_operand_element<3>,
    .factors = Forms<Form::samples, Form::logits, Form::samples>::factors,
    .lower = KernelLowering{exp_sum_kernel},
    .reference = exp_sum_reference};

const OpDef label_logit{
    .name = "label_logit",
    .doc = "The logit of each sample's label; 0 where the label is -1 or of a class that is not "
           "among these columns. Cut by classes, all but one of the devices' results are 0: their "
           "sum has one order.",
    .operands = {{"logits", "[n, classes]"}, {"labels", "i32[n]"}},
    .attrs = {first_class_attr()},
    .results = {{"", "[n]"}},
    .infer = Forms<Form::samples, Form::logits, Form::labels>::infer,
    .flops = flops_per_element<1>,
    .factors = Forms<Form::samples, Form::logits, Form::labels>::factors,
    .share = class_share,
    .lower = KernelLowering{own_kernel},
    .reference = own_reference};

const OpDef softmax_of{
    .name = "softmax_of",
    .doc = "exp(logit - maximum) / exp_sum: softmax from what was reduced over all classes.",
    .operands = {{"logits", "[n, classes]"},
                 {"maximum", "[n], class_max of all classes"},
                 {"exp_sum", "[n], class_exp_sum of all classes"}},
    .attrs = {},
    .results = {{"", "as logits"}},
    .infer = PerClass::infer,
    .flops = flops_per_element<3>,
    .factors = PerClass::factors,
    .lower = PixelLowering{.pixel = softmax_pixel, .fusable = false},
    .reference = softmax_reference};

const OpDef class_gradient{
    .name = "class_gradient",
    .doc = "(probabilities - one-hot label) dloss / max(count, 1); 0 for a sample whose label is "
           "-1.",
    .operands = {{"probabilities", "[n, classes]"},
                 {"labels", "i32[n]"},
                 {"count", "[1], label_count of all samples"},
                 {"dloss", "[1]"}},
    .attrs = {first_class_attr()},
    .results = {{"", "cotangent of the logits"}},
    .infer = Gradient::infer,
    .flops = flops_per_element<3>,
    .factors = Gradient::factors,
    .share = class_share,
    .lower = PixelLowering{.pixel = part_gradient_pixel, .fusable = false},
    .reference = [](RefContext& c) {
      gradient_reference(c, c.operands[2]->data[0], c.operands[3]->data[0],
                         integer(c.node, "first_class"));
    }};

const OpDef label_rank{
    .name = "label_rank",
    .doc = "How many of these columns rank before each sample's label: a larger logit, or an equal "
           "one of a lower class; all of them where `own` is NaN. Of no meaning where the label "
           "is -1.",
    .operands = {{"logits", "[n, classes]"},
                 {"own", "[n], label_logit of all classes"},
                 {"labels", "i32[n]"}},
    .attrs = {first_class_attr(), blocks_attr()},
    .results = {{"", "[n]"}},
    .infer = Rank::infer,
    .flops = flops_per_operand_element<2>,
    .factors = Rank::factors,
    .share = class_share,
    .lower = KernelLowering{rank_kernel},
    .reference = rank_reference};

} // namespace netc::ops
