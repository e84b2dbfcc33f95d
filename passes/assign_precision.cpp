// Chooses how each contraction multiplies: as its layer says, else as the command line does.
// Tensors stay f32 in memory; losses, sums and updates are f32 throughout.

#include "ir/op.h"
#include "passes/passes.h"

namespace netc {

namespace {

/// A precision that the description asks for and the target lacks is the user's mistake.
void check_supported(const Node& node, Precision precision, const Target& target,
                     Diagnostics& diagnostics) {
  if (!supports(target, precision))
    diagnostics
        .error(node.loc, fmt::format("`{}` asks for precision {}, which `{}` does not have",
                                     node.name, to_string(precision), target.str()))
        .note("the CPU and GPUs before sm_80 have `fp32` alone");
}

} // namespace

int assign_precision(Graph& graph, PassContext& context) {
  Diagnostics diagnostics;
  int assigned = 0;
  for (const auto& node : graph.nodes) {
    if (!node->op->is_contraction())
      continue;
    for (const Value* operand : node->operands)
      NETC_CHECK(operand->type.dtype == DType::f32, "`{}` contracts {}", node->name,
                 operand->type.str());
    const std::string& asked = node->attrs.text("precision");
    if (asked != "default") {
      check_supported(*node, parse_precision(asked), context.target, diagnostics);
      continue;
    }
    node->attrs.set("precision", std::string(to_string(context.precision)));
    ++assigned;
  }
  diagnostics.throw_if_errors();
  return assigned;
}

} // namespace netc
