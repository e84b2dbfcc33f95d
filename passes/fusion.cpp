#include "passes/fusion.h"

#include "ir/ops.h"

#include <algorithm>

namespace netc {

namespace {

/// Whether a node is there from the beginning. An exchange may have nothing to read, but it waits.
bool is_source(const Node& node) {
  return node.operands.empty() && node.op != &ops::exchange;
}

Value* add_argument(Graph& body, const Value& operand, int64_t index) {
  GraphBuilder builder(body, operand.node->loc);
  Value* argument = builder.value(ops::argument, operand.name, {},
                                  {{"index", index},
                                   {"shape", std::vector<int64_t>(operand.type.shape)},
                                   {"dtype", std::string(to_string(operand.type.dtype))}});
  argument->layout = operand.layout;
  argument->storage = operand.storage;
  return argument;
}

/// The members' results that are read by others, those of the main one first, then from the last
/// to the first.
std::vector<Value*> outside_results(const Graph& graph, const std::vector<Node*>& members,
                                    const Node* main) {
  std::unordered_set<const Node*> inside(members.begin(), members.end());
  std::unordered_set<const Value*> read;
  for (const auto& node : graph.nodes)
    if (!inside.count(node.get()))
      read.insert(node->operands.begin(), node->operands.end());
  for (const Graph::Output& output : graph.outputs)
    read.insert(output.value);
  for (const Graph::Store& store : graph.stores)
    read.insert(store.value);
  std::vector<const Node*> order(members.rbegin(), members.rend());
  std::stable_partition(order.begin(), order.end(), [&](const Node* n) { return n == main; });
  std::vector<Value*> results;
  for (const Node* member : order)
    for (const auto& result : member->results)
      if (read.count(result.get()))
        results.push_back(result.get());
  return results;
}

} // namespace

Node* fuse(Graph& graph, const std::vector<Node*>& members, const std::string& kind) {
  return fuse(graph, members, kind, members.back());
}

Node* fuse(Graph& graph, const std::vector<Node*>& members, const std::string& kind,
           const Node* main) {
  auto body = std::make_unique<Graph>(main->name);
  std::unordered_map<const Value*, Value*> map;
  std::vector<Value*> operands;
  for (const Node* member : members)
    for (Value* operand : member->operands) {
      bool internal = std::any_of(members.begin(), members.end(),
                                  [&](const Node* m) { return m == operand->node; });
      if (internal || map.count(operand))
        continue;
      map[operand] = add_argument(*body, *operand, static_cast<int64_t>(operands.size()));
      operands.push_back(operand);
    }
  for (const Node* member : members)
    copy_node(*body, *member, map);
  std::vector<Value*> results = outside_results(graph, members, main);
  std::vector<TensorType> types;
  for (size_t i = 0; i < results.size(); ++i) {
    body->outputs.push_back({fmt::format("result{}", i), map.at(results[i])});
    types.push_back(results[i]->type);
  }
  Node* fused = graph.add(ops::fused, main->name + ".fused", operands, {{"kind", kind}}, types,
                          members.front()->loc, members.back());
  fused->body = std::move(body);
  for (size_t i = 0; i < results.size(); ++i) {
    fused->results[i]->layout = results[i]->layout;
    graph.replace_uses(results[i], fused->results[i].get());
  }
  graph.remove_if([&](const Node& node) {
    return std::any_of(members.begin(), members.end(), [&](const Node* m) { return m == &node; });
  });
  return fused;
}

std::vector<std::pair<Node*, Node*>> implied_order(const Graph& graph) {
  std::vector<std::pair<Node*, Node*>> pairs;
  auto users = graph.users();
  for (const Graph::Store& store : graph.stores)
    for (Node* reader : users[store.parameter])
      if (reader != store.value->node)
        pairs.push_back({reader, store.value->node});
  Node* last = nullptr;
  for (const auto& node : graph.nodes)
    if (node->op == &ops::exchange) {
      if (last)
        pairs.push_back({last, node.get()});
      last = node.get();
    }
  return pairs;
}

void sort_topologically(Graph& graph) {
  // Whom a node must wait for.
  std::unordered_map<const Node*, std::vector<const Node*>> waits;
  for (const auto& node : graph.nodes)
    for (const Value* operand : node->operands)
      waits[node.get()].push_back(operand->node);
  for (auto [first, then] : implied_order(graph))
    waits[then].push_back(first);
  std::unordered_set<const Node*> placed;
  std::vector<std::unique_ptr<Node>> order, pending = std::move(graph.nodes);
  graph.nodes.clear();
  std::stable_partition(pending.begin(), pending.end(),
                        [](const auto& node) { return is_source(*node); });
  while (!pending.empty()) {
    size_t before = pending.size();
    for (auto& node : pending) {
      const auto& list = waits[node.get()];
      if (std::all_of(list.begin(), list.end(), [&](const Node* n) { return placed.count(n); })) {
        placed.insert(node.get());
        order.push_back(std::move(node));
        break; // starts over, so that the earliest node that can run runs
      }
    }
    std::erase(pending, nullptr);
    NETC_CHECK(pending.size() < before, "the graph has a cycle through `{}`",
               pending.front()->name);
  }
  graph.nodes = std::move(order);
}

Positions positions_of(const Graph& graph) {
  Positions positions;
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    positions[graph.nodes[i].get()] = i;
  return positions;
}

namespace {

/// The map that may follow `value` in an epilogue: it reads `value` element by element, and its
/// other operands exist before the contraction starts.
Node* next_map(const std::vector<Node*>& users, const Value& value, const Positions& positions,
               size_t start, const std::unordered_set<const Node*>& taken) {
  for (Node* user : users) {
    if (!user->op->is_map() || user->result()->type != value.type || taken.count(user))
      continue;
    bool ready = std::all_of(user->operands.begin(), user->operands.end(), [&](const Value* o) {
      return o == &value || is_source(*o->node) || positions.at(o->node) < start;
    });
    if (ready)
      return user;
  }
  return nullptr;
}

} // namespace

std::unordered_map<const Node*, std::vector<Node*>> epilogue_chains(const Graph& graph) {
  const Positions positions = positions_of(graph);
  auto users = graph.users();
  std::unordered_map<const Node*, std::vector<Node*>> chains;
  std::unordered_set<const Node*> taken;
  for (const auto& node : graph.nodes) {
    // Weight gradients have no place for one: their reduction ends in another order.
    const auto* lowering = std::get_if<TemplateLowering>(&node->op->lower);
    if (!lowering || lowering->name.find("weight_gradient") != std::string::npos)
      continue;
    const Value* value = node->result();
    size_t start = positions.at(node.get());
    while (Node* map = next_map(users[value], *value, positions, start, taken)) {
      chains[node.get()].push_back(map);
      taken.insert(map);
      value = map->result();
    }
  }
  return chains;
}

} // namespace netc
