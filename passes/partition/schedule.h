#pragma once
// In which order stages work on micro-batches.

#include "ir/strategy.h"

namespace netc {

/// What a stage does with a micro-batch in one direction.
struct StageTask {
  int stage = 0;
  int micro_batch = 0;
  bool backward = false;
  bool operator==(const StageTask&) const = default;
};

/// All tasks in one order that all stages keep: a stage hands forward to the next, backward to the
/// one before. `backward`: whether there are any backward, as there are not at inference.
std::vector<StageTask> schedule_tasks(Schedule schedule, int stages, int micro_batches,
                                      bool backward);

} // namespace netc
