#pragma once
// A program on a device: where its buffers lie, and runs of it.

#include "ir/program.h"

#include <span>
#include <string>
#include <vector>

namespace netc {

/// What a step of a program took, summed over runs.
struct StepTime {
  std::string label;
  double seconds = 0;
};

/// Bytes that travel between host and device with each run; none where the host sees the device.
struct Transfer {
  std::byte* host = nullptr;
  std::byte* device = nullptr;
  int64_t bytes = 0;
};

/// A program and where its buffers lie.
struct Binding {
  const Program* program = nullptr; ///< Outlives what is bound.
  std::vector<void*> addresses;     ///< On the device, by index of the buffer.
  std::vector<Transfer> feeds;      ///< To the device before the first step.
  std::vector<Transfer> outputs;    ///< To the host after the last step.

  /// The parameters of a step's kernel.
  std::vector<void*> parameters(const Step& step) const {
    std::vector<void*> list;
    for (int buffer : step.buffers)
      list.push_back(addresses[static_cast<size_t>(buffer)]);
    return list;
  }
};

/// A program bound to memory. The programs of a device run one after the other, in the order in
/// which they were started.
class DeviceProgram {
public:
  virtual ~DeviceProgram() = default;
  /// Brings the feeds to the device, runs all steps and brings the outputs back. May return before
  /// that is done; wait() must be called before the next start(). With `times`, one for each step,
  /// adds what each took and returns when all is done.
  virtual void start(std::span<StepTime> times) = 0;
  /// Returns once the last start() is done: the host may read outputs and write feeds.
  virtual void wait() = 0;
  /// Whether wait() would return at once.
  virtual bool done() = 0;
};

} // namespace netc
