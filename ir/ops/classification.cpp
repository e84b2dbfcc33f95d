// Softmax cross-entropy loss and top-k accuracy: labels against logits. A label of -1 marks a
// sample that does not count (padding of a last batch, an image that could not be read).

#include "ir/ops/classification.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace netc::ops {

namespace {

using kernel::Access;
using kernel::call;
using kernel::Kernel;
using kernel::load;
using kernel::select;
using kernel::var;

bool expect_logits_and_labels(InferContext& c) {
  if (!c.expect_rank(0, {2}) || !c.expect_rank(1, {1}))
    return false;
  if (c.operands[0].shape[0] == c.operands[1].shape[0] && c.operands[1].dtype == DType::i32)
    return true;
  c.error(fmt::format("labels {} do not fit logits {}", c.operands[1].str(), c.operands[0].str()));
  return false;
}

void infer_loss(InferContext& c) {
  if (expect_logits_and_labels(c))
    c.results = {{DType::f32, {1}}, c.operands[0]};
}

void infer_loss_grad(InferContext& c) {
  if (expect_logits_and_labels(c))
    c.results = {c.operands[0]};
}

void infer_topk(InferContext& c) {
  if (!expect_logits_and_labels(c))
    return;
  if (c.attrs.integer("k") > c.operands[0].shape[1])
    c.error(fmt::format("`k` is {} but there are {} classes", c.attrs.integer("k"),
                        c.operands[0].shape[1]));
  c.results = {{DType::f32, {1}}};
}

/// Emits `name` = the number of labels that count, as f32.
Expr count_valid(Body& b, const std::string& name, int64_t samples, Expr label) {
  return b.reduce(name, "+", name + "_i", 0, samples, counted(std::move(label)), true);
}

/// Emits a last phase that stores, in `result`, the sum of `per_sample`, divided by the number of
/// valid labels when `mean`.
void finish(Body& body, int64_t samples, const std::string& result, bool mean) {
  body.barrier();
  store_one(body, result, [&](Body& b) {
    Expr sum =
        b.reduce("sum", "+", "i", 0, samples, load("per_sample", DType::f32, {var("i")}), true);
    return mean ? mean_of(sum, count_valid(b, "valid", samples, label_of(var("valid_i")))) : sum;
  });
}

Kernel loss_kernel(const Node& node) {
  int64_t samples = node.operands[0]->type.shape[0], classes = node.operands[0]->type.shape[1];
  Kernel k = kernel_of_operands(node);
  k.params.push_back({"loss", node.result(0)->type, Layout::row_major, Access::out});
  k.params.push_back({"probabilities", node.result(1)->type, Layout::row_major, Access::out});
  k.params.push_back({"per_sample", {DType::f32, {samples}}, Layout::row_major, Access::workspace});
  Body body;
  body.loop(StmtKind::parallel, "n", 0, samples, [&](Expr n, Body& b) {
    auto logit = [&](Expr c) { return load("logits", DType::f32, {n, std::move(c)}); };
    b.alloc("exps", DType::f32, classes);
    Expr largest = b.reduce("largest", "max", "i", 0, classes, logit(var("i")), true);
    b.loop(StmtKind::lanes, "c", 0, classes,
           [&](Expr c, Body& l) { l.store("exps", {c}, call("exp", {logit(c) - largest})); });
    Expr sum =
        b.reduce("sum_exps", "+", "i1", 0, classes, load("exps", DType::f32, {var("i1")}), true);
    Expr weight = b.let("weight", Expr(1.0) / sum);
    b.loop(StmtKind::lanes, "c1", 0, classes, [&](Expr c, Body& l) {
      l.store("probabilities", {n, c}, load("exps", DType::f32, {c}) * weight);
    });
    Expr label = b.let("label", label_of(n));
    b.loop(StmtKind::lanes, "l0", 0, 1, [&](Expr l, Body& lane) {
      lane.store("per_sample", {n + l},
                 sample_loss(label, largest, sum, logit(max(label, Expr(0)))));
    });
  });
  finish(body, samples, "loss", true);
  k.body = body.take();
  return k;
}

Kernel topk_kernel(const Node& node) {
  int64_t samples = node.operands[0]->type.shape[0], classes = node.operands[0]->type.shape[1];
  Kernel k = kernel_of_operands(node);
  k.params.push_back({"correct", node.result()->type, Layout::row_major, Access::out});
  k.params.push_back({"per_sample", {DType::f32, {samples}}, Layout::row_major, Access::workspace});
  Body body;
  body.loop(StmtKind::parallel, "n", 0, samples, [&](Expr n, Body& b) {
    Expr label = b.let("label", label_of(n));
    Expr own = b.let("own", load("logits", DType::f32, {n, max(label, Expr(0))}));
    Expr before = ranks_before(load("logits", DType::f32, {n, var("i")}), var("i"), own, label);
    Expr rank = b.reduce("rank", "+", "i", 0, classes, select(before, Expr(1.0), Expr(0.0)), true);
    b.loop(StmtKind::lanes, "l", 0, 1, [&](Expr l, Body& lane) {
      lane.store("per_sample", {n + l}, among_first(label, rank, integer(node, "k")));
    });
  });
  finish(body, samples, "correct", false);
  k.body = body.take();
  return k;
}

void loss_grad_pixel(PixelContext& c) {
  std::string valid = c.local("valid");
  Expr label = c.element(1, {var(valid + "_i")});
  Expr count = count_valid(c.body, valid, c.node.operands[0]->type.shape[0], label);
  gradient_pixel(c, count, c.element(2, {Expr(0)}), 0);
}

void loss_reference(RefContext& c) {
  const RefTensor &logits = *c.operands[0], &labels = *c.operands[1];
  auto& p = c.results[1].data;
  double sum = 0;
  for (int64_t n = 0; n < logits.type.shape[0]; ++n) {
    std::vector<size_t> classes = row(logits, n);
    softmax_values(logits.data, classes, p);
    double label = labels.data[static_cast<size_t>(n)];
    if (label >= 0)
      sum -= std::log(p[classes[static_cast<size_t>(label)]]);
  }
  c.results[0].data[0] = sum / std::max(counted_labels(labels), 1.0);
}

void loss_grad_reference(RefContext& c) {
  gradient_reference(c, counted_labels(*c.operands[1]), c.operands[2]->data[0], 0);
}

void topk_reference(RefContext& c) {
  const RefTensor &logits = *c.operands[0], &labels = *c.operands[1];
  for (int64_t n = 0; n < logits.type.shape[0]; ++n) {
    double label = labels.data[static_cast<size_t>(n)];
    if (label < 0)
      continue;
    double own = logits.data[row(logits, n)[static_cast<size_t>(label)]];
    c.results[0].data[0] +=
        rank_among(logits, n, own, label) < static_cast<double>(integer(c.node, "k"));
  }
}

Value* build_loss(LayerContext& c) {
  Value *logits = c.inputs[0], *labels = c.feed("labels");
  if (logits->type.shape.size() == 4) {
    Node* flat = c.apply(flatten, c.name + ".flatten", {logits}, {});
    if (!flat)
      return nullptr;
    logits = flat->result();
  }
  Node* loss = c.apply(softmax_cross_entropy, c.name, {logits, labels}, {});
  if (!loss)
    return nullptr;
  Graph& graph = c.builder.graph();
  graph.outputs.push_back({"loss", loss->result()});
  for (int64_t k : {1, 5})
    if (k <= logits->type.shape[1]) {
      std::string name = fmt::format("top{}", k);
      graph.outputs.push_back(
          {name, c.apply(topk_accuracy, name, {logits, labels}, {{"k", k}})->result()});
    }
  graph.outputs.push_back({"probabilities", loss->result(1)});
  return loss->result();
}

/// The loss needs the number of all samples that count: it is not cut as a whole.
std::vector<Factor> no_factors(const Node&) {
  return {};
}

} // namespace

Kernel kernel_of_operands(const Node& node) {
  Kernel k{.name = node.name, .params = {}, .body = {}};
  for (size_t i = 0; i < node.operands.size(); ++i)
    k.params.push_back(
        {node.op->operands[i].name, node.operands[i]->type, Layout::row_major, Access::in});
  return k;
}

Expr label_of(Expr n) {
  return load("labels", DType::i32, {std::move(n)});
}

Expr counted(Expr label) {
  return select(std::move(label) >= Expr(0), Expr(1.0), Expr(0.0));
}

Expr sample_loss(Expr label, Expr largest, Expr sum, Expr own) {
  return select(std::move(label) < Expr(0), Expr(0.0),
                call("log", {std::move(sum)}) + std::move(largest) - std::move(own));
}

Expr mean_of(Expr total, Expr count) {
  return std::move(total) / max(std::move(count), Expr(1.0));
}

Expr ranks_before(const Expr& other, Expr index, const Expr& own, Expr label) {
  return kernel::binary("||", kernel::binary("||", other > own, kernel::binary("!=", own, own)),
                        (other == own) && (std::move(index) < std::move(label)));
}

Expr among_first(Expr label, Expr rank, int64_t k) {
  Expr among = (std::move(label) >= Expr(0)) && (std::move(rank) < Expr(static_cast<double>(k)));
  return select(among, Expr(1.0), Expr(0.0));
}

void gradient_pixel(PixelContext& c, Expr count, Expr dloss, int64_t first_class) {
  Expr label = c.element(1, {c.n});
  Expr weight =
      c.body.let(c.local("weight"),
                 select(label >= Expr(0), mean_of(std::move(dloss), std::move(count)), Expr(0.0)));
  c.body.loop(StmtKind::lanes, c.local("c"), 0, c.node.result()->type.shape[1],
              [&](Expr ch, Body& l) {
                Expr target = select(ch + Expr(first_class) == label, Expr(1.0), Expr(0.0));
                c.store(l, 0, ch, (c.here(0, ch) - target) * weight);
              });
}

std::vector<size_t> row(const RefTensor& logits, int64_t n) {
  std::vector<size_t> indices(static_cast<size_t>(logits.type.shape[1]));
  std::iota(indices.begin(), indices.end(), static_cast<size_t>(n * logits.type.shape[1]));
  return indices;
}

double counted_labels(const RefTensor& labels) {
  auto count = std::count_if(labels.data.begin(), labels.data.end(),
                             [](double label) { return label >= 0; });
  return static_cast<double>(count);
}

double rank_among(const RefTensor& logits, int64_t n, double own, double label) {
  double rank = 0, column = 0;
  for (size_t i : row(logits, n)) {
    double other = logits.data[i];
    rank += other > own || std::isnan(own) || (other == own && column < label);
    ++column;
  }
  return rank;
}

void gradient_reference(RefContext& c, double count, double dloss, int64_t first_class) {
  const RefTensor &p = *c.operands[0], &labels = *c.operands[1];
  for (int64_t n = 0; n < p.type.shape[0]; ++n) {
    double label = labels.data[static_cast<size_t>(n)];
    double channel = static_cast<double>(first_class);
    for (size_t i : row(p, n)) {
      if (label >= 0)
        c.results[0].data[i] = (p.data[i] - (channel == label)) * dloss / std::max(count, 1.0);
      ++channel;
    }
  }
}

const OpDef softmax_cross_entropy{
    .name = "softmax_cross_entropy",
    .doc = "Mean over the samples with a label >= 0 of -log softmax(logits)[label]. As a layer it "
           "also gives the outputs `loss`, `top1`, `top5` and `probabilities`.",
    .operands = {{"logits", "[n, classes]"}, {"labels", "i32[n]"}},
    .attrs = {},
    .results = {{"", "[1], natural logarithm"}, {"probabilities", "softmax(logits)"}},
    .infer = infer_loss,
    .vjp = [](VjpContext& c) -> std::vector<Value*> {
      return {c.builder.value(softmax_cross_entropy_grad, c.node.name + ".grad",
                              {c.node.result(1), c.node.operands[1], c.cotangents[0]}),
              nullptr};
    },
    .flops = flops_per_operand_element<6>,
    .factors = no_factors,
    .lower = KernelLowering{loss_kernel},
    .reference = loss_reference,
    .layer = LayerDef{.keys = {}, .build = build_loss}};

const OpDef softmax_cross_entropy_grad{
    .name = "softmax_cross_entropy_grad",
    .doc = "(probabilities - one-hot label) dloss / samples with a label >= 0.",
    .operands = {{"probabilities", "[n, classes]"}, {"labels", "i32[n]"}, {"dloss", "[1]"}},
    .attrs = {},
    .results = {{"", "cotangent of the logits"}},
    .infer = infer_loss_grad,
    .flops = flops_per_operand_element<3>,
    .factors = no_factors,
    .lower = PixelLowering{.pixel = loss_grad_pixel, .fusable = false},
    .reference = loss_grad_reference};

const OpDef topk_accuracy{
    .name = "topk_accuracy",
    .doc = "Number of samples whose label is among the k largest logits; of equal logits the lower "
           "class ranks first.",
    .operands = {{"logits", "[n, classes]"}, {"labels", "i32[n]"}},
    .attrs = {{.name = "k", .kind = AttrKind::integer, .doc = "ranks that count", .min = 1}},
    .results = {{"", "[1]"}},
    .infer = infer_topk,
    .flops = flops_per_operand_element<2>,
    .factors = [](const Node& node) -> std::vector<Factor> {
      return {{"batch", node.operands[0]->type.shape[0], FactorKind::reduction, {0, 0}, {-1}}};
    },
    .lower = KernelLowering{topk_kernel},
    .reference = topk_reference};

} // namespace netc::ops
