// Orders nodes so that less memory is live at once: of the nodes that can run, the one runs first
// that leaves the fewest bytes alive. The new order is kept if its peak is lower. Of steps in
// micro-batches contractions stay as they are: their order is the schedule.

#include "ir/ops.h"
#include "passes/fusion.h"
#include "passes/live_ranges.h"
#include "passes/partition/partition.h"
#include "passes/passes.h"

#include <algorithm>

namespace netc {

namespace {

class Scheduler {
public:
  /// `keep_contractions`: they stay in their order.
  Scheduler(Graph& graph, bool keep_contractions)
      : graph_(graph), keep_contractions_(keep_contractions), left_(graph.use_counts()) {}

  std::vector<size_t> run() {
    std::vector<size_t> order;
    std::vector<bool> done(graph_.nodes.size());
    blockers();
    while (order.size() < graph_.nodes.size()) {
      size_t best = graph_.nodes.size();
      int64_t best_growth = 0;
      for (size_t i = 0; i < graph_.nodes.size(); ++i) {
        if (done[i] || blocked_by_[i] > 0)
          continue;
        int64_t cost = growth(*graph_.nodes[i]);
        if (best == graph_.nodes.size() || cost < best_growth)
          best = i, best_growth = cost;
      }
      NETC_CHECK(best < graph_.nodes.size(), "the graph has a cycle");
      done[best] = true;
      order.push_back(best);
      finish(best);
    }
    return order;
  }

private:
  /// Counts, for each node, what it must wait for; see sort_topologically.
  void blockers() {
    blocked_by_.assign(graph_.nodes.size(), 0);
    std::unordered_map<const Node*, size_t> index;
    for (size_t i = 0; i < graph_.nodes.size(); ++i)
      index[graph_.nodes[i].get()] = i;
    auto block = [&](const Node* first, const Node* then) {
      blocks_[first].push_back(index.at(then));
      ++blocked_by_[index.at(then)];
    };
    for (const auto& node : graph_.nodes)
      for (const Value* operand : node->operands)
        block(operand->node, node.get());
    for (auto [first, then] : implied_order(graph_))
      block(first, then);
    const Node* last = nullptr;
    for (const auto& node : graph_.nodes)
      if (keep_contractions_ && has_contraction(*node)) {
        if (last)
          block(last, node.get());
        last = node.get();
      }
  }

  static bool has_contraction(const Node& node) {
    return node.op->is_contraction() ||
           (node.body && std::any_of(node.body->nodes.begin(), node.body->nodes.end(),
                                     [](const auto& inner) { return has_contraction(*inner); }));
  }

  /// Bytes alive after the node minus bytes alive before.
  int64_t growth(const Node& node) const {
    int64_t bytes = 0;
    for (const auto& result : node.results)
      if (in_arena(graph_, *result) && !is_left_out(node, left_.count(result.get()) > 0))
        bytes += result->stored().bytes();
    for (size_t i = 0; i < node.operands.size(); ++i) {
      const Value* operand = node.operands[i];
      bool first_mention = true;
      int mentions = 0;
      for (size_t j = 0; j < node.operands.size(); ++j)
        if (node.operands[j] == operand) {
          first_mention = first_mention && j >= i;
          ++mentions;
        }
      if (first_mention && left_.at(operand) == mentions && in_arena(graph_, *operand))
        bytes -= operand->stored().bytes();
    }
    return bytes;
  }

  void finish(size_t i) {
    const Node& node = *graph_.nodes[i];
    for (const Value* operand : node.operands)
      --left_[operand];
    for (size_t then : blocks_[&node])
      --blocked_by_[then];
  }

  Graph& graph_;
  const bool keep_contractions_;
  std::unordered_map<const Value*, int> left_; ///< Reads still to come.
  std::vector<int> blocked_by_;
  std::unordered_map<const Node*, std::vector<size_t>> blocks_;
};

} // namespace

namespace {

/// Whether the order of the work on micro-batches is to be kept.
bool is_scheduled(const PassContext& context) {
  return context.partition && context.partition->strategy.micro_batches.count > 1;
}

} // namespace

int order_nodes(Graph& graph, PassContext& context) {
  sort_topologically(graph);
  int64_t before = peak_live_bytes(graph, context);
  std::vector<size_t> order = Scheduler(graph, is_scheduled(context)).run();
  std::vector<std::unique_ptr<Node>> old = std::move(graph.nodes);
  std::vector<Node*> pointers;
  for (const auto& node : old)
    pointers.push_back(node.get());
  graph.nodes.clear();
  for (size_t i : order)
    graph.nodes.push_back(std::move(old[i]));
  if (peak_live_bytes(graph, context) < before)
    return 1;
  std::unordered_map<const Node*, std::unique_ptr<Node>> by_address;
  for (auto& node : graph.nodes) {
    const Node* address = node.get();
    by_address[address] = std::move(node);
  }
  graph.nodes.clear();
  for (Node* node : pointers)
    graph.nodes.push_back(std::move(by_address[node]));
  return 0;
}

} // namespace netc
