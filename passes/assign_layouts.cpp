// Images lie with channels innermost (nhwc), everywhere; weights and what is added to them keep
// the order of checkpoints.

#include "ir/ops.h"
#include "passes/passes.h"

#include <algorithm>
#include <unordered_set>

namespace netc {

int assign_layouts(Graph& graph, PassContext&) {
  std::unordered_set<const Value*> weights;
  int rewrites = 0;
  for (const auto& node : graph.nodes) {
    bool is_weight = node->op == &ops::parameter || node->op == &ops::conv2d_weight_gradient ||
                     node->op == &ops::sgd_update;
    // A map of weights (a sum of gradients, say) is a weight, and so are its blocks.
    const bool same_kind = node->op->is_map() || node->op == &ops::exchange ||
                           node->op == &ops::space_to_depth || node->op == &ops::depth_to_space;
    if (same_kind && !node->operands.empty())
      is_weight = is_weight || weights.count(node->operands[0]);
    for (const auto& result : node->results) {
      if (is_weight)
        weights.insert(result.get());
      else if (result->type.shape.size() == 4 && result->layout != Layout::nhwc) {
        result->layout = Layout::nhwc;
        ++rewrites;
      }
    }
  }
  return rewrites;
}

} // namespace netc
