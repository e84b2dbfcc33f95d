// Cuts the step over devices and keeps the graph of one of them. It stands between layouts, which
// all devices share, and fusion, which must not reach over an exchange.

#include "passes/partition/partition.h"
#include "ir/ops.h"
#include "passes/partition/micro_batch.h"
#include "passes/passes.h"

namespace netc {

void prepare_to_cut(Graph& graph, GradientOrigins& origins) {
  for (const auto& node : graph.nodes)
    if (node->op == &ops::softmax_cross_entropy_grad)
      origins.erase(node.get()); // its address may come again
  split_head(graph);
}

std::vector<Exchange> exchanges_of(const Graph& graph) {
  std::vector<Exchange> list;
  for (const auto& node : graph.nodes)
    if (node->op == &ops::exchange)
      list.push_back(exchange_of(*node));
  return list;
}

int partition(Graph& graph, PassContext& context) {
  if (!context.partition || context.partition->strategy.devices == 1)
    return 0;
  prepare_to_cut(graph, context.origins);
  NodeCuts cuts = assign_cuts(graph, *context.partition, context.origins);
  const Strategy& strategy = context.partition->strategy;
  if (strategy.micro_batches.count > 1) {
    MicroBatchedStep parts = micro_batch(graph, cuts, strategy, context.origins, context.exact);
    graph = std::move(parts.graph);
    cuts = std::move(parts.cuts);
  }
  CutStep step = cut_graph(graph, cuts, strategy);
  graph = std::move(step.graphs[static_cast<size_t>(context.device)]);
  return static_cast<int>(exchanges_of(graph).size());
}

} // namespace netc
