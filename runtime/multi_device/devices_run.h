#pragma once
// Runs the programs of several devices together.

#include "runtime/multi_device/host_side.h"
#include "runtime/multi_device/tasks.h"
#include "runtime/thread_team.h"

#include <chrono>
#include <exception>
#include <mutex>

namespace netc {

/// For tests: called by each device before each of its tasks, on any thread.
using TaskHook = std::function<void(int device)>;

/// The programs of one name on all devices, bound to memory.
///
/// Each device has a thread that goes through its tasks: it takes the first one that waits for
/// nothing, so that a device waits for others only when all it could do depends on them. Nothing a
/// task computes depends on when it runs, so neither do the results. Devices tell each other of
/// tasks done by counting runs; who waits looks for a while, then sleeps until its bell rings.
class DevicesRun {
public:
  /// `devices` and `programs` by logical device; they, `drivers` (one thread a device) and `hook`
  /// outlive this.
  DevicesRun(std::vector<LoadedDevice>& devices, const std::vector<const Program*>& programs,
             const HostSide& host, ThreadTeam& drivers, const TaskHook& hook, int polls);
  ~DevicesRun();

  /// Runs all steps of all devices; outputs are with the host when it returns. A failure on one
  /// device ends the run on all and is thrown; later runs are possible.
  void run(std::span<StepTime> times);

private:
  struct Member;
  void bind(const std::vector<const Program*>& programs);
  std::vector<ExchangeMemory> exchange_memory(size_t exchange,
                                              const std::vector<PlacedProgram>& placed);
  void drive(Member& member, const Thread& thread);
  int next_task(Member& member);
  bool is_ready(const Member& member, const Task& task) const;
  int first_ready(Member& member) const;
  void execute(Member& member, const Thread& thread);
  void post(Member& member, int task);
  void finish(Member& member);
  void record(Member& member, const Task& task);
  void fail();
  double now() const;
  template <class Work> void guarded(const Work& work);

  std::vector<LoadedDevice>& devices_;
  const HostSide& host_;
  ThreadTeam& drivers_;
  const TaskHook& hook_;
  int polls_;
  std::vector<std::vector<ExchangeWork>> works_; ///< By exchange and device.
  std::vector<std::unique_ptr<Member>> members_; ///< By device.
  std::function<void(const Thread&)> driving_;   ///< What each driver does.
  unsigned run_ = 0;                             ///< Counts runs.
  std::span<StepTime> times_;
  std::chrono::steady_clock::time_point started_;
  std::atomic<bool> failed_{false};
  std::mutex failing_;
  std::exception_ptr failure_; ///< The first one.
};

/// The slot of a program that runs on several devices.
std::unique_ptr<Slot> devices_slot(std::vector<LoadedDevice>& devices,
                                   const std::vector<const Program*>& programs, ThreadTeam& drivers,
                                   const TaskHook& hook, int polls);

} // namespace netc
