#include "runtime/multi_device/tasks.h"

#include <algorithm>

namespace netc {

namespace {

/// Memory that a task reads or writes.
struct Use {
  const std::byte* begin = nullptr;
  const std::byte* end = nullptr;
  bool writes = false;

  bool meets(const Use& other) const {
    return (writes || other.writes) && begin < other.end && other.begin < end;
  }
};

/// The tasks of one device's share of an exchange; -1 where there is none.
struct Share {
  int post = -1, pull = -1, settle = -1;
  Use source, target; ///< As others read them.
};

/// The tasks of one device, and what holds between them.
class DeviceTasks {
public:
  DeviceTasks(const PlacedProgram& placed, const std::vector<std::vector<ExchangeWork>>& works)
      : placed_(placed), works_(works) {
    const Program& program = *placed.program;
    for (size_t i = 0; i < program.steps.size(); ++i)
      if (program.steps[i].exchange < 0)
        add(Task::Kind::kernel, i, uses_of(program.steps[i]));
      else
        add_share(program.steps[i], i);
    for (size_t then = 0; then < tasks.size(); ++then)
      for (size_t first = 0; first < then; ++first)
        if (meet(first, then)) {
          tasks[first].then.push_back(static_cast<int>(then));
          ++tasks[then].waits;
        }
  }

  std::vector<Task> tasks;
  std::vector<Share> shares; ///< By exchange.

  /// Whether `task` writes what `read` reads.
  bool overwrites(size_t task, const Use& read) const {
    return std::any_of(uses_[task].begin(), uses_[task].end(),
                       [&](const Use& use) { return use.writes && use.meets(read); });
  }

private:
  Use use(int buffer, bool writes) const {
    const std::byte* begin = placed_.addresses[static_cast<size_t>(buffer)];
    return {begin, begin + placed_.program->buffers[static_cast<size_t>(buffer)].bytes, writes};
  }

  std::vector<Use> uses_of(const Step& step) const {
    std::vector<Use> uses;
    for (size_t i = 0; i < step.buffers.size(); ++i)
      uses.push_back(use(step.buffers[i], step.access[i] != kernel::Access::in));
    return uses;
  }

  int add(Task::Kind kind, size_t step, std::vector<Use> uses) {
    tasks.push_back({.kind = kind, .step = static_cast<int>(step)});
    uses_.push_back(std::move(uses));
    return static_cast<int>(tasks.size()) - 1;
  }

  void add_share(const Step& step, size_t index) {
    const ExchangeWork& work =
        works_[static_cast<size_t>(step.exchange)][static_cast<size_t>(placed_.program->device)];
    std::vector<Use> uses = uses_of(step), source, target;
    for (const Use& use : uses)
      (use.writes ? target : source).push_back(use);
    Share share;
    if (!source.empty()) {
      share.source = source[0];
      share.post = add(Task::Kind::post, index, source);
    }
    if (!target.empty()) {
      share.target = {target[0].begin, target[0].end, false};
      // Also where all is there already: then the task does nothing, but who reads waits for it.
      if (work.pulls() || !work.settles())
        share.pull = add(Task::Kind::pull, index, uses);
      if (work.settles())
        share.settle = add(Task::Kind::settle, index, target);
    }
    if (!uses.empty())
      tasks.back().last = true;
    shares.push_back(share);
  }

  bool meet(size_t first, size_t then) const {
    for (const Use& a : uses_[first])
      for (const Use& b : uses_[then])
        if (a.meets(b))
          return true;
    return false;
  }

  const PlacedProgram& placed_;
  const std::vector<std::vector<ExchangeWork>>& works_;
  std::vector<std::vector<Use>> uses_; ///< By task.
};

class Weaver {
public:
  Weaver(const std::vector<PlacedProgram>& programs,
         const std::vector<std::vector<ExchangeWork>>& works)
      : works_(works) {
    for (const PlacedProgram& program : programs)
      devices_.emplace_back(program, works);
  }

  std::vector<std::vector<Task>> run() {
    for (size_t e = 0; e < works_.size(); ++e)
      for (size_t i = 0; i < devices_.size(); ++i)
        weave(e, i);
    std::vector<std::vector<Task>> tasks;
    for (DeviceTasks& device : devices_)
      tasks.push_back(std::move(device.tasks));
    return tasks;
  }

private:
  const Share& share(size_t exchange, int device) const {
    return devices_[static_cast<size_t>(device)].shares[exchange];
  }

  void wait(TaskRef then, TaskRef first) {
    devices_[static_cast<size_t>(then.device)]
        .tasks[static_cast<size_t>(then.task)]
        .peers.push_back(first);
    devices_[static_cast<size_t>(first.device)].tasks[static_cast<size_t>(first.task)].is_awaited =
        true;
  }

  /// What device `index` waits for in an exchange, and who waits for it.
  void weave(size_t exchange, size_t index) {
    const ExchangeWork& work = works_[exchange][index];
    const int i = static_cast<int>(index);
    const Share& own = share(exchange, i);
    for (int j : work.sources()) {
      wait({i, own.pull}, {j, share(exchange, j).post});
      spare(exchange, j, share(exchange, j).source, {i, own.pull});
    }
    for (int j : work.pulled_before())
      wait({i, own.settle}, {j, share(exchange, j).pull});
    for (int j : work.results())
      spare(exchange, j, share(exchange, j).target, {i, own.settle});
  }

  /// Later tasks of device `j` leave alone what `reader` reads there.
  void spare(size_t exchange, int j, const Use& read, TaskRef reader) {
    const DeviceTasks& device = devices_[static_cast<size_t>(j)];
    const Share& own = device.shares[exchange];
    const int last = std::max({own.post, own.pull, own.settle});
    for (size_t task = static_cast<size_t>(last) + 1; task < device.tasks.size(); ++task)
      if (device.overwrites(task, read))
        wait({j, static_cast<int>(task)}, reader);
  }

  const std::vector<std::vector<ExchangeWork>>& works_;
  std::vector<DeviceTasks> devices_;
};

} // namespace

std::vector<std::vector<Task>> tasks_of(const std::vector<PlacedProgram>& programs,
                                        const std::vector<std::vector<ExchangeWork>>& works) {
  return Weaver(programs, works).run();
}

} // namespace netc
