#pragma once
// The search's view of a network: which choices each layer has and what they cost, read off the
// graphs that the devices would run.

#include "passes/partition/partition.h"
#include "passes/partition/search.h"

namespace netc {

/// What steps are made of costs, in seconds. Both functions are asked about graphs of devices.
struct StepCosts {
  std::function<double(const Node& node, int device)> node;
  std::function<double(const Exchange& exchange)> exchange;
  std::vector<int> alone = {0}; ///< Devices that may do a layer alone: one of those that are alike.
};

/// The additive model: each node takes as long as on the slowest device, nothing overlaps.
double additive_seconds(const CutStep& step, const StepCosts& costs);

/// A step to be cut; the pipeline has run up to `assign-layouts`, the head is split.
struct WholeStep {
  const Graph& graph;
  const std::vector<LayerPlace>& places;
  const GradientOrigins& origins;
};

/// Layers are searched in segments: a weighted layer or the input, and what follows, the loss too,
/// that has no weights and is cut alike.
struct PartitionProblem {
  SearchProblem search;
  std::vector<std::vector<LayerCut>> cuts; ///< [layer of the search][choice].
  /// Of a choice's seconds, those of exchanges: of gradients, halos and the like. Alike.
  std::vector<std::vector<double>> exchange_seconds;
  struct Refusal {
    std::string layer, cut, why;
  };
  std::vector<Refusal> refused; ///< Cuts that are not legal.
  int devices = 1;
};
PartitionProblem partition_problem(const WholeStep& step, int devices, const StepCosts& costs);

/// The strategy that an assignment stands for.
Strategy strategy_of(const PartitionProblem& problem, const std::vector<int>& choices,
                     const std::string& name);

} // namespace netc
