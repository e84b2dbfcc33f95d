// Gives every value that is neither state nor input a place in one static arena, each at the lowest
// offset where nothing alive at the same time lies. The order of placing decides how well that
// fills: some are tried, and the smallest arena wins. A result takes over the memory of an operand
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
          operand->stored().bytes() == result->stored().bytes()) {
        Request& request = list[shared->second];
        request.values.push_back(result.get());
        request.extent.last = end;
        request_of[result.get()] = shared->second;
        continue;
      }
      request_of[result.get()] = list.size();
      list.push_back({{result.get()}, nullptr, {0, aligned(result->stored().bytes()), now, end}});
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

/// Places the requests in their order and returns the size of the arena.
int64_t place(std::vector<Request>& list) {
  int64_t arena = 0;
  std::vector<const Extent*> placed;
  for (Request& request : list) {
    request.extent.offset = lowest_offset(request.extent, placed);
    placed.push_back(&request.extent);
    arena = std::max(arena, request.extent.offset + request.extent.bytes);
  }
  return arena;
}

/// Puts the request that reaches the top of the arena in front of all others. There must be one.
void hurry_highest(std::vector<Request>& list) {
  auto top = [](const Request& r) { return r.extent.offset + r.extent.bytes; };
  auto highest =
      std::max_element(list.begin(), list.end(),
                       [&](const Request& a, const Request& b) { return top(a) < top(b); });
  std::rotate(list.begin(), highest, highest + 1);
}

/// Tries orders of placing, beginning with the largest first and each time hurrying what came to
/// lie highest, until the arena is as small as `bound` or the tries are used up.
std::vector<Request> place_best(std::vector<Request> list, int64_t bound) {
  constexpr int tries = 200;
  std::stable_sort(list.begin(), list.end(), [](const Request& a, const Request& b) {
    return a.extent.bytes > b.extent.bytes;
  });
  std::vector<Request> best;
  int64_t smallest = INT64_MAX;
  for (int i = 0; i < tries && smallest > bound; ++i) {
    if (i > 0)
      hurry_highest(list);
    if (int64_t arena = place(list); arena < smallest) {
      smallest = arena;
      best = list;
    }
  }
  return best;
}

} // namespace

int plan_memory(Graph& graph, PassContext& context) {
  std::vector<Request> list = requests(graph, context);
  std::vector<int64_t> live = live_sums(list, graph.nodes.size());
  MemoryPlan& plan = context.memory = {};
  plan.lower_bound_bytes = live.empty() ? 0 : *std::max_element(live.begin(), live.end());
  list = place_best(std::move(list), plan.lower_bound_bytes);
  for (const Request& request : list) {
    plan.arena_bytes = std::max(plan.arena_bytes, request.extent.offset + request.extent.bytes);
    for (const Value* value : request.values)
      plan.values[value] = request.extent;
    if (request.workspace)
      plan.workspaces[request.workspace] = request.extent;
  }
  return static_cast<int>(list.size());
}

} // namespace netc
