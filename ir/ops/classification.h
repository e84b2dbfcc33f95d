#pragma once
// What the operators of classification share with the parts they are cut into over devices
// (class_parts.cpp): the same expressions, so that both give the same bits.

#include "ir/ops/softmax.h"

namespace netc::ops {

/// A kernel over the node's operands, under their declared names, without results and body.
kernel::Kernel kernel_of_operands(const Node& node);
/// The label of sample `n`, from the operand `labels`.
Expr label_of(Expr n);
/// 1 for a label that counts, else 0.
Expr counted(Expr label);
/// -log softmax(logits)[label] from the sample's largest logit, the sum of its
/// exp(logit - largest) and the label's own logit; 0 for a label that does not count.
Expr sample_loss(Expr label, Expr largest, Expr sum, Expr own);
/// `total` divided by the number of labels that count; one that is 0 divides by 1.
Expr mean_of(Expr total, Expr count);
/// Whether class `index` with the logit `other` ranks before that of the label, whose logit is
/// `own`: a larger logit, or an equal one of a lower class. All rank before a NaN.
Expr ranks_before(const Expr& other, Expr index, const Expr& own, Expr label);
/// 1 for a sample that counts and whose label ranks below `k` (from 0), else 0.
Expr among_first(Expr label, Expr rank, int64_t k);
/// Emits the cotangents of a sample's logits from operands 0 (probabilities) and 1 (labels) at this
/// pixel: (probability - [class is the label]) dloss / count. Channel 0 is class `first_class`.
void gradient_pixel(PixelContext& c, Expr count, Expr dloss, int64_t first_class);

/// Emits a phase that stores the one element of `result`; `value(body)` emits what it needs.
template <class ValueFn> void store_one(Body& body, const std::string& result, ValueFn value) {
  body.loop(StmtKind::parallel, "one", 0, 1, [&](Expr, Body& b) {
    Expr element = value(b);
    b.loop(StmtKind::lanes, "l", 0, 1,
           [&](Expr l, Body& lane) { lane.store(result, {l}, element); });
  });
}

// Of the reference implementations.

/// Indices of the logits of sample n.
std::vector<size_t> row(const RefTensor& logits, int64_t n);
/// Number of labels that count.
double counted_labels(const RefTensor& labels);
/// Columns of sample n that rank before the label's, see ranks_before; `label` is its column, which
/// may lie outside of these.
double rank_among(const RefTensor& logits, int64_t n, double own, double label);
/// The cotangents of all logits, see gradient_pixel.
void gradient_reference(RefContext& c, double count, double dloss, int64_t first_class);

/// `per_element` operations for each element of the first operand.
template <int per_element> int64_t flops_per_operand_element(const Node& node) {
  return per_element * node.operands[0]->type.elements();
}

} // namespace netc::ops
