// Removes nodes that no output and no store depends on. Parameters stay: checkpoints hold them.
// Exchanges stay: other devices take part in them.

#include "ir/ops.h"
#include "passes/passes.h"

#include <unordered_set>

namespace netc {

int eliminate_dead_code(Graph& graph, PassContext& context) {
  std::unordered_set<const Value*> needed;
  for (const Graph::Output& output : graph.outputs)
    needed.insert(output.value);
  for (const Graph::Store& store : graph.stores)
    needed.insert(store.value);
  std::unordered_set<const Node*> dead;
  for (auto it = graph.nodes.rbegin(); it != graph.nodes.rend(); ++it) {
    const Node& node = **it;
    bool alive = node.op == &ops::parameter || node.op == &ops::exchange;
    for (const auto& result : node.results)
      alive = alive || needed.count(result.get());
    if (!alive && context.may_rewrite()) {
      dead.insert(&node);
      continue;
    }
    needed.insert(node.operands.begin(), node.operands.end());
  }
  return graph.remove_if([&](const Node& node) { return dead.count(&node) > 0; });
}

} // namespace netc
