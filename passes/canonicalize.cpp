// Replaces nodes by simpler ones that mean the same, and drops the outputs a mode does not have.

#include "ir/op.h"
#include "passes/passes.h"

namespace netc {

namespace {

/// The value that may stand for the node's first result, or null.
Value* replacement(Graph& graph, const Node& node, Mode mode) {
  GraphBuilder builder(graph, node.loc, &node);
  if (mode == Mode::infer && node.op->inference)
    return node.op->inference(builder, node);
  return node.op->simplify ? node.op->simplify(builder, node) : nullptr;
}

} // namespace

int canonicalize(Graph& graph, PassContext& context) {
  if (context.mode == Mode::train)
    std::erase_if(graph.outputs, [](const Graph::Output& o) { return o.name == "probabilities"; });
  int rewrites = 0;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    Node& node = *graph.nodes[i];
    if (node.results.empty())
      continue;
    size_t before = graph.nodes.size();
    Value* value = replacement(graph, node, context.mode);
    if (!value)
      continue;
    ++rewrites;
    bool is_new = graph.nodes.size() > before;
    std::string name = node.result()->name;
    graph.replace_uses(node.result(), value);
    graph.remove_if([&](const Node& n) { return &n == &node; });
    if (is_new) // it takes over the name with the place
      value->name = value->node->name = name;
    --i; // looks at what now stands here, the replacement included
  }
  return rewrites;
}

} // namespace netc
