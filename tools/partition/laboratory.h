#pragma once
// `netc partition`: every strategy of a network predicted, and measured where the devices are
// here.

#include "runtime/device.h"
#include "tools/driver/compile.h"
#include "tools/partition/calibration.h"
#include "tools/partition/predict.h"
#include "tools/partition/report.h"

#include <functional>

namespace netc {

struct LaboratoryOptions {
  std::vector<DeviceSpec> devices;     ///< Logical ones, as many as the step is cut over.
  std::vector<std::string> strategies; ///< Names or files; empty: all that have names, and `auto`.
  /// What predictions are for: its machine; and its times, to which those of kernels that were not
  /// measured yet are added. Without times: rooflines.
  Calibration* calibration = nullptr;
  bool measure = true;          ///< Run the steps, too.
  bool other_machine = false;   ///< Predictions are for another one than runs the steps.
  bool measure_kernels = false; ///< The calibration is of this machine and may grow.
  bool sweeps = true;
  int rounds = 5;           ///< Measured steps of each strategy, interleaved.
  int difference_steps = 3; ///< After which weights are compared.
  int64_t memory_limit = 0; ///< Of each device; 0: what the machine has.
  uint64_t seed = 1;
  std::function<void(const std::string&)> progress; ///< What it is at; may be null.
};

/// UserError when the network cannot be trained or a named strategy does not exist; strategies
/// that do not suit the network are rows of the report that say why.
PartitionReport explore_partitions(const NetworkSource& source, const CompileOptions& options,
                                   const LaboratoryOptions& laboratory);

/// What predictions of the laboratory's strategies are made from, as the calibration is now. A
/// device may use as much memory as the laboratory allows, and not more than its machine has.
PredictionSetup prediction_setup(const Network& network, const CompileOptions& options,
                                 const LaboratoryOptions& laboratory);

/// The strategy that the search finds for a network, its runners-up simulated. UserError when
/// nothing fits into the devices' memory.
struct FoundStrategy {
  Strategy strategy;
  std::vector<LayerChoices> choices;
  double seconds = 0; ///< Of the search.
  /// The fastest do not fit into memory, and some that do may not have been tried.
  bool bounded_by_memory = false;
};
FoundStrategy find_strategy(const Network& network, const CompileOptions& options,
                            const LaboratoryOptions& laboratory);

} // namespace netc
