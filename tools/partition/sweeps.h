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

/// Simulated steps; nothing is run. Lines have gaps where a strategy with bounds of its own does
/// not suit a batch, or a step has no room in memory.
std::vector<Sweep> sweep_bandwidth_and_batch(const PredictionSetup& setup,
                                             const std::vector<StrategyCase>& cases);

/// Adds where the fastest line becomes another one; `auto`, found for one point, is no line there.
void find_crossovers(Sweep& sweep);

} // namespace netc
