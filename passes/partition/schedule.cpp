// The stages are played in time, each with its list of tasks: the order of their beginnings.

#include "passes/partition/schedule.h"

#include "ir/support/diagnostics.h"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>

namespace netc {

namespace {

/// A backward task computes two gradients.
constexpr int forward_ticks = 1, backward_ticks = 2;

/// What one stage does, in order. Tasks forward beyond the stages behind it wait for one backward
/// each, but where all go forward first.
std::vector<StageTask> tasks_of_stage(Schedule schedule, int stage, int stages, int micro_batches,
                                      bool backward) {
  const int ahead = schedule == Schedule::gpipe || !backward
                        ? micro_batches
                        : std::min(micro_batches, stages - stage);
  std::vector<StageTask> tasks;
  int returned = 0;
  for (int m = 0; m < micro_batches; ++m) {
    if (m - returned == ahead)
      tasks.push_back({stage, returned++, true});
    tasks.push_back({stage, m, false});
  }
  while (backward && returned < micro_batches)
    tasks.push_back({stage, returned++, true});
  return tasks;
}

class Play {
public:
  Play(Schedule schedule, int stages, int micro_batches, bool backward) : stages_(stages) {
    for (int s = 0; s < stages; ++s)
      lists_.push_back(tasks_of_stage(schedule, s, stages, micro_batches, backward));
    next_.resize(lists_.size());
    free_.resize(lists_.size());
  }

  std::vector<StageTask> run() {
    std::vector<StageTask> order;
    while (const StageTask* task = earliest()) {
      const size_t stage = static_cast<size_t>(task->stage);
      const int end = begin_of(*task) + (task->backward ? backward_ticks : forward_ticks);
      ++next_[stage];
      free_[stage] = ends_[key(*task)] = end;
      order.push_back(*task);
    }
    for (size_t s = 0; s < lists_.size(); ++s)
      NETC_CHECK(next_[s] == lists_[s].size(), "stage {} waits for ever", s);
    return order;
  }

private:
  static constexpr int never = std::numeric_limits<int>::max();
  using Key = std::tuple<int, int, bool>;
  static Key key(const StageTask& task) { return {task.stage, task.micro_batch, task.backward}; }

  /// When the task can begin; never, as long as what it needs has not begun.
  int begin_of(const StageTask& task) const {
    const int neighbour = task.stage + (task.backward ? 1 : -1);
    const int free = free_[static_cast<size_t>(task.stage)];
    if (neighbour < 0 || neighbour == stages_)
      return free;
    auto handed = ends_.find({neighbour, task.micro_batch, task.backward});
    return handed == ends_.end() ? never : std::max(free, handed->second);
  }

  /// Of those that begin first the one of the last stage: others hang on what it hands back.
  const StageTask* earliest() const {
    const StageTask* best = nullptr;
    for (size_t s = lists_.size(); s-- > 0;) {
      if (next_[s] == lists_[s].size())
        continue;
      const StageTask& task = lists_[s][next_[s]];
      if (begin_of(task) < (best ? begin_of(*best) : never))
        best = &task;
    }
    return best;
  }

  const int stages_;
  std::vector<std::vector<StageTask>> lists_;
  std::vector<size_t> next_; ///< By stage, of its list.
  std::vector<int> free_;    ///< By stage, since when.
  std::map<Key, int> ends_;
};

} // namespace

std::vector<StageTask> schedule_tasks(Schedule schedule, int stages, int micro_batches,
                                      bool backward) {
  return Play(schedule, stages, micro_batches, backward).run();
}

} // namespace netc
