// Gives every value that is neither state nor input a place in one static arena, each at the lowest
// offset where nothing alive at the same time lies. The order of placing decides how well that
// fills: a few are tried, and the smallest arena wins. A result takes over the memory of an operand
// where the operator allows it and nobody reads the operand later.

#include "passes/live_ranges.h"
#include "passes/passes.h"

#include <algorithm>

namespace netc {

namespace {

/// Vector loads and cache lines.
constexpr int64_t alignment = 64;

int64_t aligned(int64_t bytes) {
  return (bytes + alignment - 1) / alignment * alignment;
}

/// Something to place: values that share memory (in-place results), or a workspace.
struct Request {
  std::vector<const Value*> values;
  const Node* workspace = nullptr;
  Extent extent;
};

std::vector<Request> requests(const Graph& graph, const PassContext& context) {
  std::vector<Request> list;
  std::unordered_map<const Value*, size_t> request_of;
  auto last = last_uses(graph);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = *graph.nodes[i];
    int now = static_cast<int>(i);
    for (const auto& result : node.results) {
      if (!in_arena(graph, *result))
        continue;
      auto use = last.find(result.get());
      if (is_left_out(node, use != last.end()))
        continue;
      int end = use == last.end() ? now : use->second;
      int source = in_place_operand(node, result->index);
      const Value* operand = source >= 0 ? node.operands[static_cast<size_t>(source)] : nullptr;
      auto shared = operand ? request_of.find(operand) : request_of.end();
      if (shared != request_of.end() && list[shared->second].extent.last == now &&
          operand->type.bytes() == result->type.bytes()) {
        Request& request = list[shared->second];
        request.values.push_back(result.get());
        request.extent.last = end;
        request_of[result.get()] = shared->second;
        continue;
      }
      request_of[result.get()] = list.size();
      list.push_back({{result.get()}, nullptr, {0, aligned(result->type.bytes()), now, end}});
    }
    int64_t workspace = context.workspace_bytes ? context.workspace_bytes(node) : 0;
    if (workspace > 0)
      list.push_back({{}, &node, {0, aligned(workspace), now, now}});
  }
  return list;
}

/// The lowest offset at which `extent` meets none of `placed` while it lives.
int64_t lowest_offset(const Extent& extent, const std::vector<const Extent*>& placed) {
  std::vector<const Extent*> alive;
  for (const Extent* other : placed)
    if (other->first <= extent.last && extent.first <= other->last)
      alive.push_back(other);
  std::sort(alive.begin(), alive.end(),
            [](const Extent* a, const Extent* b) { return a->offset < b->offset; });
  int64_t offset = 0;
  for (const Extent* other : alive) {
    if (offset + extent.bytes <= other->offset)
      break;
    offset = std::max(offset, other->offset + other->bytes);
  }
  return offset;
}

/// Bytes alive during each node.
std::vector<int64_t> live_sums(const std::vector<Request>& list, size_t nodes) {
  std::vector<int64_t> live(nodes, 0);
  for (const Request& request : list)
    for (int i = request.extent.first; i <= request.extent.last; ++i)
      live[static_cast<size_t>(i)] += request.extent.bytes;
  return live;
}

/// What is placed first: the greatest key, of equals the greatest size, of equals the earliest.
using Key = std::function<int64_t(const Extent&)>;

/// Places all requests and returns the size of the arena.
int64_t place(std::vector<Request>& list, const Key& key) {
  std::vector<Request*> order;
  for (Request& request : list)
    order.push_back(&request);
  std::stable_sort(order.begin(), order.end(), [&](const Request* a, const Request* b) {
    int64_t first = key(a->extent), second = key(b->extent);
    return first != second ? first > second : a->extent.bytes > b->extent.bytes;
  });
  int64_t arena = 0;
  std::vector<const Extent*> placed;
  for (Request* request : order) {
    request->extent.offset = lowest_offset(request->extent, placed);
    placed.push_back(&request->extent);
    arena = std::max(arena, request->extent.offset + request->extent.bytes);
  }
  return arena;
}

/// The list as the best order of placing leaves it.
std::vector<Request> place_best(const std::vector<Request>& list,
                                const std::vector<int64_t>& live) {
  auto fullest = [&](const Extent& e) { // the worst node during which it is alive
    return *std::max_element(live.begin() + e.first, live.begin() + e.last + 1);
  };
  const Key keys[] = {
      [](const Extent& e) { return e.bytes; },
      [](const Extent& e) { return e.bytes * (e.last - e.first + 1); },
      [](const Extent& e) { return e.last - e.first; },
      [](const Extent& e) { return -e.first; },
      [](const Extent& e) { return e.last; },
      fullest,
  };
  std::vector<Request> best;
  int64_t smallest = INT64_MAX;
  for (const Key& key : keys) {
    std::vector<Request> attempt = list;
    int64_t arena = place(attempt, key);
    if (arena < smallest) {
      smallest = arena;
      best = std::move(attempt);
    }
  }
  return best;
}

} // namespace

int plan_memory(Graph& graph, PassContext& context) {
  std::vector<Request> list = requests(graph, context);
  std::vector<int64_t> live = live_sums(list, graph.nodes.size());
  list = place_best(list, live);
  MemoryPlan& plan = context.memory = {};
  for (const Request& request : list) {
    plan.arena_bytes = std::max(plan.arena_bytes, request.extent.offset + request.extent.bytes);
    for (const Value* value : request.values)
      plan.values[value] = request.extent;
    if (request.workspace)
      plan.workspaces[request.workspace] = request.extent;
  }
  plan.lower_bound_bytes = live.empty() ? 0 : *std::max_element(live.begin(), live.end());
  return static_cast<int>(list.size());
}

} // namespace netc
