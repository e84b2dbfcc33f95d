#pragma once
// One step on several devices, event by event: what overlaps, what waits, who contends for links.

#include "ir/device_profile.h"

#include <string>
#include <vector>

namespace netc {

/// What a device does in a step: it computes, or takes part in an exchange.
struct StepTask {
  std::string name;
  double seconds = 0;       ///< Of an exchange: before anything comes over the link; setup_seconds.
  int exchange = -1;        ///< Index of the exchange; -1: computes.
  std::vector<int> needs{}; ///< Earlier tasks of the same device.
};

/// The tasks of all devices, and how exchanges move bytes.
///
/// A device has a queue for computing and one for exchanges, and does one task of each at a time.
/// When a queue is free, it takes the first task in the order of the list that can begin: no device
/// waits while it has work. A task can begin once what it needs is done. Devices pull: an exchange,
/// too, begins on each device by itself, once those that send to it have done what their own task
/// of that exchange needs; sending keeps no queue busy. The two rounds of an all-reduce count as
/// one. Transfers that meet on a link share it evenly, and one that crosses two links has the pace
/// of the slower.
struct StepSchedule {
  std::vector<std::vector<StepTask>> devices;
  /// By exchange: bytes [from][to]. A device that sends or receives has one task of it.
  std::vector<std::vector<std::vector<int64_t>>> exchanges;
  LinkProfile link;       ///< Its latency is in the tasks' seconds already.
  bool one_queue = false; ///< Exchanges keep the device from computing, as on CPUs.
};

struct TaskTimes {
  double begin = 0, end = 0; ///< Seconds since the step began.
  bool operator==(const TaskTimes&) const = default;
};

struct StepTimes {
  double seconds = 0;                        ///< Until the last task ends.
  std::vector<std::vector<TaskTimes>> tasks; ///< [device][task]
  std::vector<double> busy;                  ///< By device: seconds it computes.
  /// By device: seconds until its last task ends in which it does not compute. It always waits for
  /// an exchange then.
  std::vector<double> exposed;
};

/// Raises InternalError when tasks wait for each other or one never ends.
StepTimes simulate(const StepSchedule& schedule);

} // namespace netc
