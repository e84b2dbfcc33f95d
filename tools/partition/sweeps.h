#pragma once
// What-if: the same strategies over slower and faster links, and with other batches.

#include "tools/partition/predict.h"
#include "tools/partition/report.h"

namespace netc {

/// A strategy that suits the network, and its step.
struct StrategyCase {
  std::string name;
  Strategy strategy;
  PredictedStep step;
};

/// Simulated steps; nothing is run. Strategies with bounds of their own are left out of the sweep
/// of batches where they do not fit.
std::vector<Sweep> sweep_bandwidth_and_batch(const PredictionSetup& setup,
                                             const std::vector<StrategyCase>& cases);

} // namespace netc
