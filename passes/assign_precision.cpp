// Chooses how each contraction multiplies: as its layer says, else as the command line does.
// Losses, sums and updates are f32 throughout; how memory holds tensors, assign-storage says.

#include "ir/op.h"
#include "passes/passes.h"

namespace netc {

namespace {

/// What the layer asks for, or the graph's. Where exact sums or the target rule that out, f32,
/// which errs least: weights that a GPU trained in bf16 can be evaluated on a CPU. A layer that
/// asked learns of it, once, not by its gradients.
Precision precision_for(const Node& node, PassContext& context) {
  const std::string& asked = node.attrs.text("precision");
  const Precision precision = asked == "default" ? context.precision : parse_precision(asked);
  if (!context.exact && supports(context.target, precision))
    return precision;
  if (asked != "default" && precision != Precision::fp32 && !context.origins.count(&node))
    context.denied_precisions.push_back({node.name, precision});
  return Precision::fp32;
}

} // namespace

int assign_precision(Graph& graph, PassContext& context) {
  int assigned = 0;
  for (const auto& node : graph.nodes) {
    if (!node->op->is_contraction())
      continue;
    for (const Value* operand : node->operands)
      NETC_CHECK(operand->type.dtype == DType::f32, "`{}` contracts {}", node->name,
                 operand->type.str());
    const std::string precision(to_string(precision_for(*node, context)));
    if (node->attrs.text("precision") == precision)
      continue;
    node->attrs.set("precision", precision);
    ++assigned;
  }
  return assigned;
}

} // namespace netc
