#pragma once
// Whether the threads of a GPU compute a group of maps and windows in registers, and how much of it
// a thread does.

#include "codegen/group.h"
#include "codegen/lowering.h"

namespace netc {

/// How threads share the results of a group: a thread has a run of channels of a block of pixels.
struct RunPlan {
  int64_t channels = 1; ///< Of a run: 4 where channels come in fours, else 1.
  PixelBlock block{};
  const Node* sharing = nullptr; ///< The member of Reach::shared, if there is one.
  int64_t tile = 1;              ///< There: blocks whose runs a warp computes together.
};

/// Threads of a warp; warps that share a block of threads' arrays; runs that a thread shows of each
/// pixel, at most.
constexpr int64_t warp_threads = 32, block_warps = 8, shown_runs = 2;

/// How a member is lowered that is a window; null: it is a map.
const PixelLowering* window_of(const Node& node);

/// Which members read a value.
using Readers = std::unordered_map<const Value*, std::vector<const Node*>>;
Readers readers_of(const Group& group);

/// None where an operator needs arrays of pixels, or would compute too much anew.
std::optional<RunPlan> plan_runs(const Group& group, const LoweringOptions& options);

} // namespace netc
