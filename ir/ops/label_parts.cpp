// The parts of the loss and of top-k accuracy that see a number or two of each sample: sums over
// the samples.

#include "ir/ops/class_parts.h"

#include <algorithm>
#include <cmath>

namespace netc::ops {

namespace {

using kernel::Kernel;
using kernel::var;

/// The sum over samples i of `value`.
Kernel sum_of_samples(const Node& node, const Expr& value) {
  Body body;
  store_one(body, "result", [&](Body& b) {
    return b.reduce("sum", "+", "i", 0, node.operands[0]->type.shape[0], value, true,
                    blocks_of(node));
  });
  return kernel_with_result(node, body);
}

Kernel count_kernel(const Node& node) {
  return sum_of_samples(node, counted(label_of(var("i"))));
}

Kernel loss_kernel(const Node& node) {
  Expr i = var("i");
  return sum_of_samples(node, sample_loss(label_of(i), of_sample("maximum", i),
                                          of_sample("exp_sum", i), of_sample("own", i)));
}

Kernel below_kernel(const Node& node) {
  Expr i = var("i");
  return sum_of_samples(node, among_first(label_of(i), of_sample("rank", i), integer(node, "k")));
}

void loss_reference(RefContext& c) {
  const std::vector<double>& labels = c.operands[3]->data;
  for (size_t n = 0; n < labels.size(); ++n)
    if (labels[n] >= 0)
      c.results[0].data[0] +=
          std::log(c.operands[1]->data[n]) + c.operands[0]->data[n] - c.operands[2]->data[n];
}

void below_reference(RefContext& c) {
  const std::vector<double>& labels = c.operands[1]->data;
  for (size_t n = 0; n < labels.size(); ++n)
    c.results[0].data[0] +=
        labels[n] >= 0 && c.operands[0]->data[n] < static_cast<double>(integer(c.node, "k"));
}

using SampleSum = Forms<Form::one, Form::samples, Form::samples, Form::samples, Form::labels>;

} // namespace

const OpDef label_count{
    .name = "label_count",
    .doc = "Number of samples with a label >= 0.",
    .operands = {{"labels", "i32[n]"}},
    .attrs = {blocks_attr()},
    .results = {{"", "[1]"}},
    .infer = Forms<Form::one, Form::labels>::infer,
    .flops = flops_per_operand_element<1>,
    .factors = Forms<Form::one, Form::labels>::factors,
    .lower = KernelLowering{count_kernel},
    .reference = [](RefContext& c) { c.results[0].data[0] = counted_labels(*c.operands[0]); }};

const OpDef label_loss{
    .name = "label_loss",
    .doc = "Sum over the samples with a label >= 0 of log(exp_sum) + maximum - own, which is -log "
           "softmax(logits)[label].",
    .operands = {{"maximum", "[n], class_max of all classes"},
                 {"exp_sum", "[n], class_exp_sum of all classes"},
                 {"own", "[n], label_logit of all classes"},
                 {"labels", "i32[n]"}},
    .attrs = {blocks_attr()},
    .results = {{"", "[1], natural logarithm"}},
    .infer = SampleSum::infer,
    .flops = flops_per_operand_element<4>,
    .factors = SampleSum::factors,
    .lower = KernelLowering{loss_kernel},
    .reference = loss_reference};

const OpDef mean_loss{
    .name = "mean_loss",
    .doc = "total / max(count, 1).",
    .operands = {{"total", "[1], label_loss of all samples"},
                 {"count", "[1], label_count of all samples"}},
    .attrs = {},
    .results = {{"", "[1]"}},
    .infer = Forms<Form::one, Form::one, Form::one>::infer,
    .flops = flops_per_element<2>,
    .factors = Forms<Form::one, Form::one, Form::one>::factors,
    .lower = MapLowering{[](MapContext& c) { return mean_of(c.operand(0), c.operand(1)); }},
    .reference = [](RefContext& c) {
      c.results[0].data[0] = c.operands[0]->data[0] / std::max(c.operands[1]->data[0], 1.0);
    }};

const OpDef rank_below{
    .name = "rank_below",
    .doc = "Number of samples with a label >= 0 and a rank below k.",
    .operands = {{"rank", "[n], label_rank of all classes"}, {"labels", "i32[n]"}},
    .attrs = {{.name = "k", .kind = AttrKind::integer, .doc = "ranks that count", .min = 1},
              blocks_attr()},
    .results = {{"", "[1]"}},
    .infer = Forms<Form::one, Form::samples, Form::labels>::infer,
    .flops = flops_per_operand_element<1>,
    .factors = Forms<Form::one, Form::samples, Form::labels>::factors,
    .lower = KernelLowering{below_kernel},
    .reference = below_reference};

} // namespace netc::ops
