#pragma once
// What a step cut over devices is predicted to take: the devices' programs, their times on a
// machine, and the schedule that comes of them.

#include "ir/device_profile.h"
#include "passes/partition/cost.h"
#include "passes/partition/partition.h"
#include "passes/partition/simulate.h"
#include "tools/driver/compile.h"

namespace netc {

/// What predictions are about.
struct PredictionSetup {
  const Network& network;
  CompileOptions options; ///< Target, batch, math, threads; of the strategy nothing.
  MachineProfile machine; ///< With at least as many devices as strategies have.
  /// Measured times of kernels while so many devices compute; null, or without any: rooflines.
  std::function<MeasuredTimes(int busy_devices)> times{};
  std::vector<int64_t> memory_limits{}; ///< By device; 0, or left out: none.
};

/// The training step of one strategy.
struct PredictedStep {
  Strategy strategy;
  std::vector<Program> programs;   ///< By device.
  std::vector<Exchange> exchanges; ///< In order.
  StepSchedule schedule;
  double additive_seconds = 0; ///< The device with most to compute, and every exchange after it.
  std::vector<int64_t> peak_bytes; ///< By device: state, arena, feeds and outputs.

  /// Whether a task of the schedule is an exchange, one without traffic, too.
  bool is_exchange(size_t device, size_t task) const {
    return programs[device].steps[task].exchange >= 0;
  }
};

/// A device that lacks memory for a step.
struct MemoryLack {
  size_t device = 0;
  int64_t bytes = 0, limit = 0;
  /// `needs 1,023.5 MB of device 0, which may use 900.0 MB`.
  std::string text() const;
};
/// The device that lacks most, in proportion; none if the step fits.
std::optional<MemoryLack> memory_lack(const PredictionSetup& setup, const PredictedStep& step);

/// What people read of a step: its layer, then what it computes: `conv1: relu1.fused, conv2d + bias
/// + relu`.
std::string step_label(const Step& step, const std::vector<LayerPlace>& places);

/// Cuts, fuses and plans the step; nothing is compiled or run. UserError when the network cannot be
/// cut so.
PredictedStep predict_step(const PredictionSetup& setup, const Strategy& strategy);

} // namespace netc
