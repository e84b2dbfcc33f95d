#pragma once
// Steps of networks cut over devices, and strategies to cut them by.

#include "passes/partition/partition.h"
#include "tests/support/interpret.h"
#include "tests/support/random_text.h"

namespace netc::test {

/// The graphs of all devices of a step after the pass `stop_after`, each verified after each pass.
/// UserError where the strategy is not legal.
std::vector<Graph> cut_step(const Network& network, const Strategy& strategy,
                            Mode mode = Mode::train, const std::string& stop_after = "partition");
/// The same of one device, uncut.
Graph whole_step(const Network& network, Mode mode = Mode::train);

/// Values for what a step reads: weights that neither blow values up nor let them vanish, small
/// momenta, labels below 5 of which some count for nothing.
Tensors step_inputs(const Graph& graph, Random& random);

/// Every strategy that has a name and suits the network.
std::vector<Strategy> named_strategies_of(const Network& network, int devices);

/// How random strategies are drawn.
struct StrategyDraw {
  bool uneven = true;  ///< Bounds of their own for some layers, parts may be empty.
  bool spatial = true; ///< Cuts along rows, too.
};
/// Any cuts of some of the layers, those left out that are not legal.
Strategy random_legal_strategy(const Network& network, int devices, const StrategyDraw& how,
                               Random& random);

} // namespace netc::test
