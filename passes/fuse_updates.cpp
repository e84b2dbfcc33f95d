// An update joins the contraction that computes its gradient, where the target's templates can take
// it and no other reads the gradient: it is never written. The updates of all other parameters
// become one kernel: one sweep over weights, gradients and momenta.

#include "ir/ops.h"
#include "passes/fusion.h"
#include "passes/passes.h"

#include <algorithm>

namespace netc {

namespace {

/// The contraction that an update may join, or null. Of the weight gradients only those of linear
/// layers have their elements in the order of the weights.
Node* gradient_of(const Node& update, const std::unordered_map<const Value*, int>& uses) {
  const Value* gradient = update.operands[1];
  const bool joins = gradient->node->op == &ops::linear_weight_gradient && uses.at(gradient) == 1;
  return joins ? gradient->node : nullptr;
}

} // namespace

int fuse_updates(Graph& graph, PassContext& context) {
  std::vector<Node*> updates;
  std::vector<std::vector<Node*>> pairs;
  const auto uses = graph.use_counts();
  // An update that an exchange reads stays alone: others may hang on what comes of the exchange.
  auto users = graph.users();
  auto exchanged = [&](const Node& update) {
    return std::any_of(update.results.begin(), update.results.end(),
                       [&](const auto& result) { return !users[result.get()].empty(); });
  };
  for (const auto& node : graph.nodes) {
    if (!node->op->is_update() || exchanged(*node))
      continue;
    Node* contraction = context.target.has_cuda_text() ? gradient_of(*node, uses) : nullptr;
    if (contraction)
      pairs.push_back({contraction, node.get()});
    else
      updates.push_back(node.get());
  }
  int rewrites = 0;
  for (const std::vector<Node*>& pair : pairs) {
    if (!context.may_rewrite())
      break;
    fuse(graph, pair, "contraction");
    ++rewrites;
  }
  if (updates.size() > 1 && context.may_rewrite()) {
    fuse(graph, updates, "update")->name = "update";
    rewrites += static_cast<int>(updates.size()) - 1;
  }
  if (rewrites > 0)
    sort_topologically(graph);
  return rewrites;
}

} // namespace netc
