#pragma once
// Measuring the kernels of a network's step under a strategy.

#include "tools/driver/compile.h"
#include "tools/partition/calibration.h"

namespace netc {

struct StepsToMeasure {
  const NetworkSource& source;
  CompileOptions options; ///< With the strategy; threads of all devices together.
  std::vector<DeviceSpec> devices;
  double seconds = 5;
};

/// Adds the times that a strategy's training step needs and `calibration` lacks, by compiling it
/// and running it on the devices, which must be as many as the strategy is for. Kernels that were
/// measured for another strategy, with as many devices busy, are known: nothing is run, and false
/// is returned, where there is nothing else. Where all devices are busy, the efficiencies of the
/// machine's operators become those of this step.
bool measure_strategy(const StepsToMeasure& steps, Calibration& calibration);

} // namespace netc
