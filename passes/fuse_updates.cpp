// The updates of all parameters become one kernel: one sweep over weights, gradients and momenta.

#include "ir/ops.h"
#include "passes/fusion.h"
#include "passes/passes.h"

namespace netc {

int fuse_updates(Graph& graph, PassContext& context) {
  std::vector<Node*> updates;
  for (const auto& node : graph.nodes)
    if (node->op == &ops::sgd_update)
      updates.push_back(node.get());
  if (updates.size() < 2 || !context.may_rewrite())
    return 0;
  fuse(graph, updates, "update")->name = "update";
  sort_topologically(graph);
  return static_cast<int>(updates.size()) - 1;
}

} // namespace netc
