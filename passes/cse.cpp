// Nodes with the same operator, operands and attributes compute the same; the first stays.

#include "ir/ops.h"
#include "passes/passes.h"

namespace netc {

namespace {

bool same(const Node& a, const Node& b) {
  return a.op == b.op && a.operands == b.operands && a.attrs == b.attrs;
}

/// Parameters and feeds are told apart by their name, and exchanges are the same on all devices.
bool has_identity(const Node& node) {
  return node.op == &ops::exchange || node.op == &ops::parameter || node.op == &ops::feed ||
         node.op == &ops::argument || node.op == &ops::fused;
}

} // namespace

int eliminate_common_subexpressions(Graph& graph, PassContext& context) {
  std::unordered_map<const OpDef*, std::vector<Node*>> kept;
  std::unordered_map<const Node*, bool> dead;
  for (const auto& node : graph.nodes) {
    if (has_identity(*node))
      continue;
    Node* first = nullptr;
    for (Node* candidate : kept[node->op])
      if (same(*candidate, *node)) {
        first = candidate;
        break;
      }
    if (!first || !context.may_rewrite()) {
      kept[node->op].push_back(node.get());
      continue;
    }
    for (size_t i = 0; i < node->results.size(); ++i)
      graph.replace_uses(node->results[i].get(), first->results[i].get());
    dead[node.get()] = true;
  }
  return graph.remove_if([&](const Node& node) { return dead.count(&node) > 0; });
}

} // namespace netc
