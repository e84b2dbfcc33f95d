// Chooses the element type contractions compute in. f32 is the only one so far: the pass checks
// that nothing else has slipped into the graph.

#include "ir/op.h"
#include "passes/passes.h"

namespace netc {

int assign_precision(Graph& graph, PassContext&) {
  for (const auto& node : graph.nodes)
    if (node->op->is_contraction())
      for (const Value* operand : node->operands)
        NETC_CHECK(operand->type.dtype == DType::f32, "`{}` contracts {}", node->name,
                   operand->type.str());
  return 0;
}

} // namespace netc
