#pragma once
// Where the values of an ordered graph lie in the arena: the result of the pass plan-memory.

#include "ir/graph.h"

namespace netc {

/// A range of bytes of the arena and the nodes (by position) during which it holds something.
struct Extent {
  int64_t offset = 0;
  int64_t bytes = 0;
  int first = 0; ///< Position of the node that writes it.
  int last = 0;  ///< Position of the last node that reads it.
};

struct MemoryPlan {
  std::unordered_map<const Value*, Extent> values; ///< Results that live in the arena.
  std::unordered_map<const Node*, Extent> workspaces;
  int64_t arena_bytes = 0;
  /// Bytes live at once, at the worst node: no plan for this order can be smaller.
  int64_t lower_bound_bytes = 0;
};

} // namespace netc
