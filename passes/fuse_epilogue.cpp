// Maps behind a contraction (bias, ReLU, dropout, the masks of gradients) join its kernel: they
// touch each tile of results while it is in the cache, and cost no memory traffic.

#include "passes/fusion.h"
#include "passes/passes.h"

namespace netc {

int fuse_epilogue(Graph& graph, PassContext& context) {
  int rewrites = 0;
  auto chains = epilogue_chains(graph);
  std::vector<Node*> contractions;
  for (const auto& node : graph.nodes)
    if (chains.count(node.get()))
      contractions.push_back(node.get());
  for (Node* contraction : contractions) {
    if (!context.may_rewrite())
      break;
    std::vector<Node*> members = {contraction};
    const std::vector<Node*>& chain = chains[contraction];
    members.insert(members.end(), chain.begin(), chain.end());
    fuse(graph, members, "contraction");
    ++rewrites;
  }
  sort_topologically(graph);
  return rewrites;
}

} // namespace netc
