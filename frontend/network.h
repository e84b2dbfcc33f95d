#pragma once
// A network as its YAML file describes it, checked, and the way from there to a graph.

#include "ir/graph.h"
#include "ir/recipe.h"

#include <optional>

namespace netc {

/// How the parameters of a layer are initialised (`init:`); the default is MSRA with bias 0.
struct InitSpec {
  std::string kind = "msra"; ///< gaussian, uniform, constant, xavier or msra, for the weights.
  double scale = 1;          ///< Standard deviation, limit or value; 1 for xavier and msra.
  double bias = 0;           ///< Constant of the biases.
};

/// One entry of `layers:`, checked against the operator's record.
struct LayerDescription {
  std::string name;
  const OpDef* op = nullptr;     ///< A record with `.layer`.
  Attributes keys;               ///< The layer's keys, complete: defaults are filled in.
  std::vector<std::string> from; ///< What it reads: layers above it, or `data`.
  InitSpec init;
  Loc loc; ///< Where the entry begins.
};

/// The `partition:` section.
struct PartitionSpec {
  int64_t devices = 1;
  std::string strategy; ///< Empty: not given. Whether there is one of that name is not known here.
  Loc strategy_loc;
};

/// A checked description. Shapes are not checked yet: that takes a batch size, see build_forward.
struct Network {
  Recipe recipe;
  std::vector<LayerDescription> layers;
  PartitionSpec partition;
  Loc input_loc;              ///< Of the `input:` section.
  std::vector<Loc> rule_locs; ///< One for each of recipe.train.parameters.
};

/// Reads and checks the text of a network file. All mistakes go to `diagnostics`, located; nothing
/// is returned when there was one.
std::optional<Network> parse_network(const std::string& text, const std::string& file_name,
                                     Diagnostics& diagnostics);

/// Builds the forward graph for a batch: feeds, the input operator `data`, the layers with their
/// parameters, and the outputs (`loss`, `top1`, `top5`, `probabilities` from a loss layer; else the
/// last layer under its own name). Mistakes, most of them of shapes, go to `diagnostics`; the graph
/// is whole only when there was none.
Graph build_forward(const Network& network, int64_t batch, Diagnostics& diagnostics);

/// Number of classes that the graph's output `probabilities` tells apart; 0 without one.
int64_t class_count(const Graph& graph);

} // namespace netc
