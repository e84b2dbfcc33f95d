#pragma once
// An independent judge of memory plans.

#include "ir/op.h"
#include "passes/live_ranges.h"
#include "passes/passes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace netc::test {

/// A value's bytes in the arena and the nodes during which they must stay.
struct Lifetime {
  const Value* value;
  Extent extent;
  int defined, last_read;
};

inline std::vector<Lifetime> lifetimes(const Graph& graph, const MemoryPlan& plan) {
  std::vector<Lifetime> list;
  for (int i = 0; i < static_cast<int>(graph.nodes.size()); ++i)
    for (const auto& result : graph.nodes[static_cast<size_t>(i)]->results) {
      auto place = plan.values.find(result.get());
      if (place == plan.values.end())
        continue;
      int last = i;
      for (int j = i; j < static_cast<int>(graph.nodes.size()); ++j) {
        const auto& operands = graph.nodes[static_cast<size_t>(j)]->operands;
        if (std::count(operands.begin(), operands.end(), result.get()))
          last = j;
      }
      list.push_back({result.get(), place->second, i, last});
    }
  return list;
}

/// Whether `next` may lie where `old` lies although both are there while `next` is computed: the
/// node reads each element of `old` before it writes the same element of `next`, and no one later.
inline bool in_place_is_legal(const Lifetime& old, const Lifetime& next) {
  const Node& node = *next.value->node;
  if (old.last_read != next.defined || old.value->type.bytes() != next.value->type.bytes() ||
      old.value->layout != next.value->layout)
    return false;
  if (node.body)
    return std::all_of(node.body->nodes.begin(), node.body->nodes.end(), [](const auto& member) {
      return member->op->name == "argument" || member->op->is_map();
    });
  for (auto [operand, result] : node.op->in_place)
    if (result == next.value->index && node.operands[static_cast<size_t>(operand)] == old.value)
      return true;
  return false;
}

inline bool bytes_meet(const Extent& a, const Extent& b) {
  return a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
}

/// Alignment, bounds, and that nothing alive is overwritten.
inline void expect_sound_plan(const Graph& graph, const MemoryPlan& plan) {
  auto inside = [&](const Extent& extent, const std::string& what, int64_t bytes) {
    EXPECT_EQ(extent.offset % 64, 0) << what;
    EXPECT_GE(extent.offset, 0) << what;
    EXPECT_GE(extent.bytes, bytes) << what;
    EXPECT_LE(extent.offset + extent.bytes, plan.arena_bytes) << what;
  };
  std::vector<Lifetime> values = lifetimes(graph, plan);
  for (const Lifetime& v : values)
    inside(v.extent, v.value->name, v.value->type.bytes());
  for (size_t i = 0; i < values.size(); ++i)
    for (size_t j = i + 1; j < values.size(); ++j) {
      const Lifetime &a = values[i], &b = values[j];
      bool together = a.defined <= b.last_read && b.defined <= a.last_read;
      if (together && bytes_meet(a.extent, b.extent)) {
        EXPECT_TRUE(in_place_is_legal(a, b)) << a.value->name << " and " << b.value->name;
      }
    }
  for (const auto& [node, extent] : plan.workspaces) {
    inside(extent, "workspace of " + node->name, 1);
    for (const Lifetime& v : values) {
      const Node *first = graph.nodes[static_cast<size_t>(v.defined)].get(),
                 *last = graph.nodes[static_cast<size_t>(v.last_read)].get();
      bool before = last != node && v.last_read < extent.first;
      bool after = first != node && v.defined > extent.first;
      if (!before && !after) {
        EXPECT_FALSE(bytes_meet(v.extent, extent))
            << v.value->name << " and the workspace of " << node->name;
      }
    }
  }
}

/// The largest sum of what lies in the arena during one node, memory that is shared counted once.
inline int64_t largest_live_set(const Graph& graph, const MemoryPlan& plan) {
  std::vector<Lifetime> values = lifetimes(graph, plan);
  int64_t largest = 0;
  for (int i = 0; i < static_cast<int>(graph.nodes.size()); ++i) {
    std::set<int64_t> counted; // by offset: only results in place share one
    int64_t sum = 0;
    for (const Lifetime& v : values)
      if (v.defined <= i && i <= v.last_read && counted.insert(v.extent.offset).second)
        sum += v.extent.bytes;
    auto workspace = plan.workspaces.find(graph.nodes[static_cast<size_t>(i)].get());
    largest =
        std::max(largest, sum + (workspace == plan.workspaces.end() ? 0 : workspace->second.bytes));
  }
  return largest;
}

} // namespace netc::test
