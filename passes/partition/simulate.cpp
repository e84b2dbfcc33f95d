#include "passes/partition/simulate.h"

#include "ir/support/error.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace netc {

namespace {

/// Bytes on their way to a device.
struct Flow {
  size_t from, to;
  double bytes; ///< Left.
  double rate = 0;
};

/// A task that a queue works on.
struct Running {
  size_t device, task;
  double ready;              ///< When its seconds are over.
  std::vector<Flow> flows{}; ///< What it pulls after that.
};

class Simulation {
public:
  explicit Simulation(const StepSchedule& schedule);
  StepTimes run();

private:
  enum class State { waiting, running, done };

  const StepTask& task(size_t device, size_t i) const { return schedule_.devices[device][i]; }
  bool has_what_it_needs(size_t device, size_t i) const;
  bool can_begin(size_t device, size_t i) const;
  bool is_free(size_t device, const StepTask& wanted) const;
  void begin_tasks();
  void begin(size_t device, size_t i);
  void share_links();
  double next_event() const;
  void advance(double to);

  const StepSchedule& schedule_;
  std::vector<std::vector<int>> task_of_; ///< [exchange][device]; -1: takes no part.
  std::vector<std::vector<State>> states_;
  std::vector<Running> running_;
  double now_ = 0;
  StepTimes times_;
};

Simulation::Simulation(const StepSchedule& schedule)
    : schedule_(schedule),
      task_of_(schedule.exchanges.size(), std::vector<int>(schedule.devices.size(), -1)) {
  for (size_t device = 0; device < schedule.devices.size(); ++device) {
    const std::vector<StepTask>& tasks = schedule.devices[device];
    states_.emplace_back(tasks.size(), State::waiting);
    times_.tasks.emplace_back(tasks.size());
    for (size_t i = 0; i < tasks.size(); ++i) {
      for (int need : tasks[i].needs)
        NETC_CHECK(need >= 0 && static_cast<size_t>(need) < i, "`{}` needs task {}, which is later",
                   tasks[i].name, need);
      if (tasks[i].exchange < 0)
        continue;
      int& place = task_of_.at(static_cast<size_t>(tasks[i].exchange))[device];
      NETC_CHECK(place < 0, "`{}` twice on device {}", tasks[i].name, device);
      place = static_cast<int>(i);
    }
  }
  for (size_t exchange = 0; exchange < task_of_.size(); ++exchange)
    for (size_t from = 0; from < schedule.devices.size(); ++from)
      for (size_t to = 0; to < schedule.devices.size(); ++to)
        NETC_CHECK(schedule.exchanges[exchange].at(from).at(to) == 0 ||
                       (task_of_[exchange][from] >= 0 && task_of_[exchange][to] >= 0),
                   "exchange {} sends from {} to {}, which have no task of it", exchange, from, to);
}

bool Simulation::has_what_it_needs(size_t device, size_t i) const {
  const std::vector<int>& needs = task(device, i).needs;
  return std::all_of(needs.begin(), needs.end(), [&](int need) {
    return states_[device][static_cast<size_t>(need)] == State::done;
  });
}

bool Simulation::can_begin(size_t device, size_t i) const {
  if (!has_what_it_needs(device, i))
    return false;
  const int exchange = task(device, i).exchange;
  if (exchange < 0)
    return true;
  const auto e = static_cast<size_t>(exchange);
  for (size_t from = 0; from < states_.size(); ++from)
    if (schedule_.exchanges[e][from][device] > 0 &&
        !has_what_it_needs(from, static_cast<size_t>(task_of_[e][from])))
      return false;
  return true;
}

bool Simulation::is_free(size_t device, const StepTask& wanted) const {
  return std::none_of(running_.begin(), running_.end(), [&](const Running& r) {
    const bool exchanges = task(r.device, r.task).exchange >= 0;
    return r.device == device && (schedule_.one_queue || exchanges == (wanted.exchange >= 0));
  });
}

void Simulation::begin(size_t device, size_t i) {
  const StepTask& started = task(device, i);
  Running running{device, i, now_ + started.seconds};
  if (started.exchange >= 0) {
    const auto& bytes = schedule_.exchanges[static_cast<size_t>(started.exchange)];
    for (size_t from = 0; from < bytes.size(); ++from)
      if (bytes[from][device] > 0)
        running.flows.push_back({from, device, static_cast<double>(bytes[from][device])});
  }
  states_[device][i] = State::running;
  times_.tasks[device][i].begin = now_;
  running_.push_back(std::move(running));
}

void Simulation::begin_tasks() {
  for (size_t device = 0; device < states_.size(); ++device)
    for (size_t i = 0; i < states_[device].size(); ++i)
      if (states_[device][i] == State::waiting && is_free(device, task(device, i)) &&
          can_begin(device, i))
        begin(device, i);
}

/// Gives every flow that is on its way its rate.
void Simulation::share_links() {
  const LinkProfile& link = schedule_.link;
  std::vector<int> out(states_.size(), 0), in(states_.size(), 0);
  int all = 0;
  std::vector<Flow*> flows;
  for (Running& running : running_)
    for (Flow& flow : running.flows)
      if (running.ready <= now_)
        ++out[flow.from], ++in[flow.to], ++all, flows.push_back(&flow);
  for (Flow* flow : flows) {
    int sharers = std::max(out[flow->from], in[flow->to]);
    if (!link.full_duplex)
      sharers = std::max(out[flow->from] + in[flow->from], out[flow->to] + in[flow->to]);
    if (link.shared)
      sharers = all;
    flow->rate = link.bytes_per_second / sharers;
  }
}

double Simulation::next_event() const {
  double next = std::numeric_limits<double>::infinity();
  for (const Running& running : running_) {
    if (running.ready > now_ || running.flows.empty())
      next = std::min(next, running.ready);
    else
      for (const Flow& flow : running.flows)
        next = std::min(next, now_ + flow.bytes / flow.rate);
  }
  return next;
}

/// Moves what flows until then, and ends what is over.
void Simulation::advance(double to) {
  constexpr double rounding = 1e-9;
  std::vector<Running> left;
  for (Running& running : running_) {
    if (running.ready <= now_)
      std::erase_if(running.flows, [&](Flow& flow) {
        const bool over = now_ + flow.bytes / flow.rate <= to + rounding * (to - now_);
        flow.bytes -= flow.rate * (to - now_);
        return over;
      });
    if (running.ready > to || !running.flows.empty()) {
      left.push_back(std::move(running));
      continue;
    }
    states_[running.device][running.task] = State::done;
    times_.tasks[running.device][running.task].end = to;
  }
  running_ = std::move(left);
  now_ = to;
}

StepTimes Simulation::run() {
  for (begin_tasks(); !running_.empty(); begin_tasks()) {
    share_links();
    const double next = next_event();
    NETC_CHECK(std::isfinite(next), "a task never ends");
    advance(next);
  }
  for (size_t device = 0; device < states_.size(); ++device) {
    double busy = 0, end = 0;
    for (size_t i = 0; i < states_[device].size(); ++i) {
      NETC_CHECK(states_[device][i] == State::done, "device {} waits forever for `{}`", device,
                 task(device, i).name);
      if (task(device, i).exchange < 0)
        busy += task(device, i).seconds;
      end = std::max(end, times_.tasks[device][i].end);
    }
    times_.busy.push_back(busy);
    times_.exposed.push_back(std::max(0.0, end - busy));
    times_.seconds = std::max(times_.seconds, end);
  }
  return std::move(times_);
}

} // namespace

StepTimes simulate(const StepSchedule& schedule) {
  return Simulation(schedule).run();
}

} // namespace netc
