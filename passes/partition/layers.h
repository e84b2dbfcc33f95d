#pragma once
// Which nodes a layer of the description has, and which of their loops the words of strategies
// mean.

#include "passes/partition/partition.h"

namespace netc {

/// The nodes of a graph by layer. Keeps references to the graph and the specification.
class GraphLayers {
public:
  GraphLayers(const Graph& graph, const PartitionSpecification& specification,
              const GradientOrigins& origins);

  /// The names of all layers, in the order of the description.
  const std::vector<std::string>& names() const { return names_; }
  /// The layer that a node belongs to.
  const std::string& of(const Node& node) const { return layers_.at(&node); }
  /// The node that a layer's entry in a strategy is about: its contraction, or that of its own
  /// name. Null where passes left none.
  const Node* main(const std::string& layer) const;
  /// The value of a layer that left no node, as nodes behind it read it; null where none does.
  const Value* value_without_node(const std::string& layer) const;
  /// Where a layer stands in the description.
  Loc loc(const std::string& layer) const;
  /// What was asked for a layer; `follow` where nothing was.
  LayerCut asked(const std::string& layer) const;

  /// The layers that left no node between a node and what it follows, as dropout may at inference;
  /// the last first. What follows them is cut as in training, as both have the same parameters.
  std::vector<std::string> absent_before(const Node& node) const;

private:
  void find_values_before(const Node& node);

  const PartitionSpecification& specification_;
  std::vector<std::string> names_;
  std::unordered_map<const Node*, std::string> layers_;
  std::unordered_map<std::string, const LayerPlace*> places_;
  std::unordered_map<std::string, const Node*> main_;    ///< Of layers that have nodes.
  std::unordered_map<std::string, const Value*> values_; ///< Of layers that have none.
};

/// Whether the node has a cut of its own; sources have none, and updates follow their parameters.
bool is_cut(const Node& node);

/// What the node reads first of all that is cut: it is cut so, too, if nothing else was asked for.
/// Null where there is none.
const Value* followed(const Node& node);

/// The loop of the node that a word means, if it has such a loop.
std::optional<Factor> factor_for(const Node& node, Cut cut);

/// The bounds of a layer in iterations of a loop, of one that follows it: in proportion. Even ones
/// where the layer has none.
std::vector<int64_t> bounds_for(const std::vector<int64_t>& bounds, const Factor& factor,
                                int devices);

/// Checks all that a strategy asks of the layers of a network of that name. Mistakes are a
/// UserError that says what is legal.
void check_entries(const GraphLayers& layers, const Strategy& strategy, const std::string& network);

} // namespace netc
