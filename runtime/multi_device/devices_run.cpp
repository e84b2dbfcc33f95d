#include "runtime/multi_device/devices_run.h"

#include "ir/support/error.h"

#include <algorithm>

namespace netc {

/// A device in a run. What changes during a run is changed by its driver alone, but for the counts
/// that others read and the bell that they ring.
struct DevicesRun::Member {
  Member(size_t index, Device& device, const Program& program)
      : index(index), device(device), program(program) {}
  size_t index;
  Device& device;
  const Program& program;
  std::unique_ptr<DeviceProgram> kernels{};
  std::vector<Task> tasks{};
  std::unique_ptr<std::atomic<unsigned>[]> done {}; ///< By task: the last run that did it.
  std::function<void(const Thread&)> driving{};
  size_t first_time = 0; ///< Of its steps among all times.

  // Of exchanges where the host does not see the device: memory that stands for the device's.
  std::vector<DeviceMemory> staging{};
  std::vector<Transfer> sources{}, targets{}; ///< By exchange.

  // During a run.
  std::vector<int> left{};        ///< By task: earlier tasks of the device that are not done.
  std::vector<uint8_t> is_done{}; ///< By task.
  size_t first = 0;               ///< All tasks before it are done.
  size_t remaining = 0;
  int running = -1;                          ///< The task under way.
  double idle_since = -1;                    ///< -1: not idle.
  double began = 0, waited = 0;              ///< Of the task under way.
  alignas(64) std::atomic<unsigned> bell{0}; ///< Rung when others have done something.
};

DevicesRun::DevicesRun(std::vector<LoadedDevice>& devices,
                       const std::vector<const Program*>& programs, const HostSide& host,
                       ThreadTeam& drivers, const TaskHook& hook, int polls)
    : devices_(devices), host_(host), drivers_(drivers), hook_(hook), polls_(polls) {
  size_t steps = 0;
  for (size_t i = 0; i < devices.size(); ++i) {
    members_.push_back(std::make_unique<Member>(i, *devices[i].device, *programs[i]));
    members_.back()->first_time = steps;
    steps += programs[i]->steps.size();
  }
  bind(programs);
  for (const auto& member : members_)
    member->driving = [this, &member = *member](const Thread& thread) { drive(member, thread); };
  driving_ = [this](const Thread& driver) {
    Member& member = *members_[static_cast<size_t>(driver.index)];
    guarded([&] { member.device.together(member.driving); });
  };
}

DevicesRun::~DevicesRun() = default;

void DevicesRun::bind(const std::vector<const Program*>& programs) {
  std::vector<PlacedProgram> placed;
  for (const auto& member : members_) {
    Binding binding{.program = &member->program, .addresses = {}, .feeds = {}, .outputs = {}};
    PlacedProgram place{&member->program, {}};
    for (size_t i = 0; i < member->program.buffers.size(); ++i) {
      const Buffer& buffer = member->program.buffers[i];
      std::byte* address = buffer.alias >= 0 ? place.addresses[static_cast<size_t>(buffer.alias)]
                           : buffer.place == Place::feed || buffer.place == Place::output
                               ? host_.address(member->index, i)
                               : devices_[member->index].address(buffer);
      place.addresses.push_back(address);
      binding.addresses.push_back(address);
    }
    placed.push_back(std::move(place));
    member->kernels = member->device.bind(std::move(binding));
  }
  const std::vector<Exchange>& exchanges = programs.front()->exchanges;
  for (size_t e = 0; e < exchanges.size(); ++e)
    works_.push_back(works_of(exchanges[e], exchange_memory(e, placed)));
  std::vector<std::vector<Task>> tasks = tasks_of(placed, works_);
  for (const auto& member : members_) {
    member->tasks = std::move(tasks[member->index]);
    const size_t count = member->tasks.size();
    member->done = std::make_unique<std::atomic<unsigned>[]>(count);
    member->left.resize(count);
    member->is_done.resize(count);
  }
}

/// Where each device has its ends of an exchange.
std::vector<ExchangeMemory> DevicesRun::exchange_memory(size_t exchange,
                                                        const std::vector<PlacedProgram>& placed) {
  std::vector<ExchangeMemory> memory(members_.size());
  for (const auto& member : members_) {
    const Program& program = member->program;
    auto step = std::find_if(program.steps.begin(), program.steps.end(), [&](const Step& s) {
      return s.exchange == static_cast<int>(exchange);
    });
    ExchangeMemory& ends = memory[member->index];
    member->sources.emplace_back();
    member->targets.emplace_back();
    for (size_t i = 0; i < step->buffers.size(); ++i) {
      const bool sends = step->access[i] == kernel::Access::in;
      const size_t index = static_cast<size_t>(step->buffers[i]);
      const Buffer& buffer = program.buffers[index];
      const Exchange& e = program.exchanges[exchange];
      BoxView& view = sends ? ends.source : ends.target;
      view = {placed[member->index].addresses[index],
              (sends ? e.from : e.to).at(static_cast<int>(member->index)), buffer.layout};
      if (member->device.host_visible())
        continue;
      const int64_t bytes = buffer.type.bytes();
      member->staging.push_back(member->device.allocate_host(bytes));
      std::byte* host = member->staging.back().data();
      (sends ? member->sources : member->targets).back() = {host, view.data, bytes};
      view.data = host;
    }
  }
  return memory;
}

double DevicesRun::now() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
}

template <class Work> void DevicesRun::guarded(const Work& work) {
  try {
    work();
  } catch (...) {
    fail();
  }
}

/// Keeps the failure that is being handled, and has all devices stop.
void DevicesRun::fail() {
  {
    std::lock_guard lock(failing_);
    if (!failure_)
      failure_ = std::current_exception();
  }
  failed_.store(true);
  for (const auto& member : members_) {
    member->bell.fetch_add(1);
    member->bell.notify_all();
  }
}

void DevicesRun::run(std::span<StepTime> times) {
  failed_ = false;
  failure_ = nullptr;
  times_ = times;
  ++run_;
  for (const auto& member : members_) {
    for (size_t i = 0; i < member->tasks.size(); ++i)
      member->left[i] = member->tasks[i].waits;
    std::fill(member->is_done.begin(), member->is_done.end(), uint8_t{0});
    member->first = 0;
    member->remaining = member->tasks.size();
    member->running = -1;
    member->idle_since = -1;
  }
  started_ = std::chrono::steady_clock::now();
  drivers_.run(driving_);
  if (failure_)
    std::rethrow_exception(failure_);
  host_.assemble();
}

/// What each thread of a device's team does: the first one chooses, all work.
void DevicesRun::drive(Member& member, const Thread& thread) {
  const bool leads = thread.index == 0;
  if (leads)
    guarded([&] { member.kernels->begin(); });
  host_.gather(member.index, thread);
  thread.barrier();
  if (leads)
    guarded([&] { host_.upload(member.index); });
  for (;;) {
    if (leads)
      member.running = next_task(member);
    thread.barrier();
    if (member.running < 0)
      break;
    execute(member, thread);
    thread.barrier();
  }
  if (leads && !failed_)
    guarded([&] {
      member.kernels->end();
      host_.download(member.index);
    });
}

bool DevicesRun::is_ready(const Member& member, const Task& task) const {
  if (member.left[static_cast<size_t>(&task - member.tasks.data())] > 0)
    return false;
  return std::all_of(task.peers.begin(), task.peers.end(), [&](const TaskRef& peer) {
    return members_[static_cast<size_t>(peer.device)]->done[static_cast<size_t>(peer.task)].load(
               std::memory_order_acquire) == run_;
  });
}

int DevicesRun::first_ready(Member& member) const {
  while (member.first < member.tasks.size() && member.is_done[member.first])
    ++member.first;
  for (size_t i = member.first; i < member.tasks.size(); ++i)
    if (!member.is_done[i] && is_ready(member, member.tasks[i]))
      return static_cast<int>(i);
  return -1;
}

/// Ends the task under way and gives the next one, -1 when there is none any more. Posts need no
/// team: they are done on the way.
int DevicesRun::next_task(Member& member) {
  if (member.running >= 0)
    guarded([&] { finish(member); });
  for (;;) {
    const unsigned heard = member.bell.load(std::memory_order_acquire);
    if (failed_ || member.remaining == 0)
      return -1;
    const int task = first_ready(member);
    if (task < 0) {
      if (member.idle_since < 0)
        member.idle_since = now();
      wait_for_change(member.bell, heard, polls_);
      continue;
    }
    member.began = now();
    member.waited = member.idle_since < 0 ? 0 : member.began - member.idle_since;
    member.idle_since = -1;
    if (member.tasks[static_cast<size_t>(task)].kind != Task::Kind::post)
      return task;
    guarded([&] { post(member, task); });
  }
}

void DevicesRun::post(Member& member, int index) {
  member.running = index;
  const Step& step =
      member.program.steps[static_cast<size_t>(member.tasks[static_cast<size_t>(index)].step)];
  if (hook_)
    hook_(static_cast<int>(member.index));
  member.kernels->sends(static_cast<size_t>(&step - member.program.steps.data()));
  const Transfer& source = member.sources[static_cast<size_t>(step.exchange)];
  if (source.host)
    member.device.read(source.host, source.device, source.bytes);
  finish(member);
}

void DevicesRun::execute(Member& member, const Thread& thread) {
  const Task& task = member.tasks[static_cast<size_t>(member.running)];
  const size_t step = static_cast<size_t>(task.step);
  const int exchange = member.program.steps[step].exchange;
  guarded([&] {
    if (hook_ && thread.index == 0)
      hook_(static_cast<int>(member.index));
    if (task.kind == Task::Kind::kernel)
      return member.kernels->step(step, thread);
    const ExchangeWork& work = works_[static_cast<size_t>(exchange)][member.index];
    if (task.kind == Task::Kind::pull)
      work.pull(thread);
    else
      work.settle(thread);
  });
}

/// After all threads of the device have done the task under way: others may go on.
void DevicesRun::finish(Member& member) {
  const size_t index = static_cast<size_t>(member.running);
  const Task& task = member.tasks[index];
  member.running = -1;
  if (failed_)
    return;
  const Step& step = member.program.steps[static_cast<size_t>(task.step)];
  if (step.exchange >= 0 && task.last && task.kind != Task::Kind::post) {
    const Transfer& target = member.targets[static_cast<size_t>(step.exchange)];
    if (target.host)
      member.device.write(target.device, target.host, target.bytes);
    member.kernels->receives(static_cast<size_t>(task.step));
  }
  if (!times_.empty() && !member.device.host_visible())
    member.device.synchronize(); // a kernel that was only launched has taken no time yet
  member.is_done[index] = 1;
  --member.remaining;
  member.done[index].store(run_, std::memory_order_release);
  for (int then : task.then)
    --member.left[static_cast<size_t>(then)];
  if (!times_.empty())
    record(member, task);
  if (!task.is_awaited)
    return;
  for (const auto& other : members_)
    if (other->index != member.index) {
      other->bell.fetch_add(1, std::memory_order_release);
      other->bell.notify_all();
    }
}

/// An exchange lasts from its first to its last task; its seconds are those of the tasks.
void DevicesRun::record(Member& member, const Task& task) {
  StepTime& time = times_[member.first_time + static_cast<size_t>(task.step)];
  const double end = now();
  time.seconds += end - member.began;
  time.waited += member.waited;
  const bool first = &task == member.tasks.data() || (&task)[-1].step != task.step;
  if (first)
    time.begin = member.began;
  time.end = end;
}

namespace {

class DevicesSlot : public Slot {
public:
  DevicesSlot(std::vector<LoadedDevice>& devices, const std::vector<const Program*>& programs,
              ThreadTeam& drivers, const TaskHook& hook, int polls)
      : host_(devices, programs), run_(devices, programs, host_, drivers, hook, polls) {
    feeds = host_.feeds;
    outputs = host_.outputs;
  }
  void start(std::span<StepTime> times) override { run_.run(times); }
  void wait() override {}
  bool done() override { return true; }
  void poison(std::byte value) override { host_.poison(value); }
  int64_t lent_bytes(size_t device) const override { return host_.lent_bytes(device); }

private:
  HostSide host_;
  DevicesRun run_;
};

} // namespace

std::unique_ptr<Slot> devices_slot(std::vector<LoadedDevice>& devices,
                                   const std::vector<const Program*>& programs, ThreadTeam& drivers,
                                   const TaskHook& hook, int polls) {
  return std::make_unique<DevicesSlot>(devices, programs, drivers, hook, polls);
}

} // namespace netc
