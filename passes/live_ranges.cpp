#include "passes/live_ranges.h"

#include "ir/exchange.h"
#include "ir/ops.h"

#include <algorithm>

namespace netc {

bool in_arena(const Graph& graph, const Value& value) {
  const OpDef* op = value.node->op;
  if (op == &ops::parameter || op == &ops::feed)
    return false;
  for (const Graph::Output& output : graph.outputs)
    if (output.value == &value)
      return false;
  for (const Graph::Store& store : graph.stores)
    if (store.value == &value)
      return false;
  return true;
}

bool is_left_out(const Node& node, bool read) {
  return !read && node.op->is_pixel();
}

namespace {

/// Whether the device has the same elements after the exchange as before. Elements that several
/// have partial results of, each for a box of its own, are read by others too late for that.
bool keeps_its_box(const Node& node) {
  const Exchange exchange = exchange_of(node);
  const int device = static_cast<int>(node.attrs.integer("device"));
  return exchange.from.at(device) == exchange.to.at(device) &&
         (!exchange.from.partial() || exchange.to.alike());
}

/// A fused node of maps alone reads each element just before it writes the same element.
bool maps_only(const Graph& body) {
  return std::all_of(body.nodes.begin(), body.nodes.end(), [](const auto& node) {
    return node->op == &ops::argument || (node->op->is_map() && !node->operands.empty());
  });
}

} // namespace

int in_place_operand(const Node& node, int i) {
  const Value& to = *node.result(i);
  auto lies_alike = [&](size_t k) {
    return node.operands[k]->stored() == to.stored() && node.operands[k]->layout == to.layout;
  };
  if (node.body && i == 0 && maps_only(*node.body))
    for (size_t k = 0; k < node.operands.size(); ++k)
      if (lies_alike(k))
        return static_cast<int>(k);
  if (node.op == &ops::exchange && !keeps_its_box(node))
    return -1;
  for (auto [operand, result] : node.op->in_place)
    if (result == i && lies_alike(static_cast<size_t>(operand)))
      return operand;
  return -1;
}

std::unordered_map<const Value*, int> last_uses(const Graph& graph) {
  std::unordered_map<const Value*, int> last;
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    for (const Value* operand : graph.nodes[i]->operands)
      last[operand] = static_cast<int>(i);
  return last;
}

std::vector<int64_t> live_bytes(const Graph& graph, const PassContext& context) {
  std::vector<int64_t> change(graph.nodes.size() + 1, 0);
  auto last = last_uses(graph);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = *graph.nodes[i];
    for (const auto& result : node.results) {
      if (!in_arena(graph, *result))
        continue;
      auto use = last.find(result.get());
      if (is_left_out(node, use != last.end()))
        continue;
      size_t end = use == last.end() ? i : static_cast<size_t>(use->second);
      change[i] += result->stored().bytes();
      change[end + 1] -= result->stored().bytes();
    }
    int64_t workspace = context.workspace_bytes ? context.workspace_bytes(node) : 0;
    change[i] += workspace;
    change[i + 1] -= workspace;
  }
  for (size_t i = 1; i < change.size(); ++i)
    change[i] += change[i - 1];
  change.pop_back();
  return change;
}

int64_t peak_live_bytes(const Graph& graph, const PassContext& context) {
  std::vector<int64_t> live = live_bytes(graph, context);
  return live.empty() ? 0 : *std::max_element(live.begin(), live.end());
}

} // namespace netc
