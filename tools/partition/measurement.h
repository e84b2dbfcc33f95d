#pragma once
// Strategies run beside each other, in rounds, so that a noisy moment meets all of them.

#include "tools/partition/laboratory.h"
#include "tools/partition/sweeps.h"

namespace netc {

/// Compiles, runs and measures the strategies, and fills in what the rows of their names have of
/// it. `single`, if it is among them, is the first; weights are compared with its. What a strategy
/// fails with on the devices, for want of memory say, becomes a note, and its row stays unmeasured.
void measure_strategies(const NetworkSource& source, const CompileOptions& options,
                        const LaboratoryOptions& laboratory,
                        const std::vector<StrategyCase>& strategies, PartitionReport& report);

} // namespace netc
