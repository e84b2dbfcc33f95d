#pragma once
// A program on a device: where its buffers lie, and runs of it.

#include "ir/kernel_abi.h"
#include "ir/program.h"

#include <span>
#include <string>
#include <vector>

namespace netc {

/// What a step of a program took, in seconds.
struct StepTime {
  std::string label;
  double seconds = 0; ///< Summed over runs.
  double begin = 0;   ///< In the last run, since its start.
  double end = 0;
  /// Summed over runs: how long the device had nothing to do before the step, because of others.
  double waited = 0;

  void add(double from, double to) {
    seconds += to - from;
    begin = from;
    end = to;
  }
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

  // A run in single steps, of programs that exchange tensors with those of other devices. Feeds and
  // outputs are copied by who runs the steps. Throws what start() and wait() throw.
  /// Before the first step of a run.
  virtual void begin() {}
  /// Runs the kernel of a step. Called by all threads of Device::together at once, which wait for
  /// each other before and after.
  virtual void step(size_t index, const Thread& thread) = 0;
  /// Others are about to read the source of an exchange's step.
  virtual void sends(size_t) {}
  /// The result of an exchange's step has been written.
  virtual void receives(size_t) {}
  /// After the last step of a run: returns once all of it is done.
  virtual void end() {}
};

} // namespace netc
