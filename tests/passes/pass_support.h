#pragma once
// Graphs for the tests of passes: from a short description, or at random.

#include "frontend/network.h"
#include "ir/ops.h"
#include "passes/passes.h"
#include "tests/support/golden.h"

#include <random>
#include <sstream>

namespace netc::test {

/// The forward graph of a network's text; fails the test when it is wrong.
inline Graph forward_of(const std::string& yaml, int64_t batch) {
  Diagnostics diagnostics;
  std::optional<Network> network = parse_network(yaml, "net.yaml", diagnostics);
  EXPECT_EQ(diagnostics.render(), "");
  Graph graph = build_forward(*network, batch, diagnostics);
  EXPECT_EQ(diagnostics.render(), "");
  return graph;
}

inline PassContext context_of(Mode mode) {
  PassContext context;
  context.mode = mode;
  context.optimizer = {.rate = 0.01, .momentum = 0.9, .decay = 5e-4};
  return context;
}

/// Runs the pipeline up to and with `stop_after`; checks the graph after each pass.
inline void run_until(Graph& graph, PassContext& context, const std::string& stop_after,
                      std::set<std::string> skip = {}) {
  std::ostringstream dump;
  PipelineOptions options;
  options.stop_after = stop_after;
  options.skip = std::move(skip);
  options.verify_each = true;
  run_pipeline(graph, context, options, dump);
}

/// Runs one pass and compares the graph before and after it with a golden file.
inline void expect_pass_golden(const std::string& name, const std::string& pass, Graph& graph,
                               PassContext& context) {
  for (const Pass& p : pipeline()) {
    if (p.name != pass)
      continue;
    std::string text = "// before " + pass + "\n" + print(graph);
    int rewrites = p.run(graph, context);
    EXPECT_NO_THROW(verify(graph)) << name;
    text += fmt::format("\n// after {}: {} rewrites\n{}", pass, rewrites, print(graph));
    EXPECT_EQ(print(parse_graph(print(graph))), print(graph)) << name;
    return expect_golden("tests/passes/goldens/" + name + ".txt", text);
  }
  FAIL() << "no pass `" << pass << "`";
}

/// The operators of the members of a fused node, in order: `relu lrn max_pool2d`.
inline std::string members_of(const Node& node) {
  std::string list;
  for (const auto& member : node.body->nodes)
    if (member->op != &ops::argument)
      list += (list.empty() ? "" : " ") + member->op->name;
  return list;
}

/// members_of all fused nodes of a kind, in execution order.
inline std::vector<std::string> fused_groups(const Graph& graph, const std::string& kind) {
  std::vector<std::string> groups;
  for (const auto& node : graph.nodes)
    if (node->body && node->attrs.text("kind") == kind)
      groups.push_back(members_of(*node));
  return groups;
}

} // namespace netc::test
