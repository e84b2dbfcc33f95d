#pragma once
// What the parts of softmax_cross_entropy, its gradient and topk_accuracy share. Their loops may be
// cut over devices, by samples and by classes: where a loop is a reduction, the devices' results
// are then combined between two parts. Column 0 of the logits that a device holds is class
// `first_class`.

#include "ir/ops/classification.h"

namespace netc::ops {

/// What a tensor is of: [n, classes], [n], i32[n] or [1].
enum class Form { logits, samples, labels, one };

/// Infers the result and checks operands against their forms, and `blocks` where there is one.
void infer_forms(InferContext& c, const std::vector<Form>& operands, Form result);
/// The loops over samples and classes, as far as operand 0 has them.
std::vector<Factor> factors_of(const Node& node, const std::vector<Form>& operands, Form result);

/// Both as functions of a record.
template <Form result, Form... operands> struct Forms {
  static void infer(InferContext& c) { infer_forms(c, {operands...}, result); }
  static std::vector<Factor> factors(const Node& node) {
    return factors_of(node, {operands...}, result);
  }
};

int blocks_of(const Node& node);
AttrDef first_class_attr();

/// The element of sample `n` of a vector.
inline Expr of_sample(const char* operand, Expr n) {
  return kernel::load(operand, DType::f32, {std::move(n)});
}
/// A kernel over the node's operands that stores `result` in `body`.
kernel::Kernel kernel_with_result(const Node& node, Body& body);

} // namespace netc::ops
