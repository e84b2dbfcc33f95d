#pragma once
// Cutting a step over devices: who computes what of each node, and the graph of one device.

#include "ir/exchange.h"
#include "ir/share.h"
#include "ir/strategy.h"
#include "passes/pass.h"

namespace netc {

/// Who computes which part of each node.
using NodeCuts = std::unordered_map<const Node*, NodeCut>;

/// A layer of the description, as far as cutting needs it. Nodes belong to the layer whose place
/// they have.
struct LayerPlace {
  std::string name;
  Loc loc;
  std::vector<std::string> from{}; ///< The layers it reads.
};

/// What the pass `partition` needs: the same for all devices of a plan.
struct PartitionSpecification {
  Strategy strategy;
  /// In the order of the description. Empty: every forward node is a layer of its own name.
  std::vector<LayerPlace> layers;
};

/// What comes before cutting: the head becomes parts, and no origin names a node that went.
void prepare_to_cut(Graph& graph, GradientOrigins& origins);

/// Derives the cut of every node that computes something, but for updates, which follow their
/// parameters. Gradients are cut as the nodes they are of. Mistakes of the strategy are a UserError
/// that says what would be legal.
NodeCuts assign_cuts(const Graph& graph, const PartitionSpecification& specification,
                     const GradientOrigins& origins);

/// What a node of a device's graph stands for in the whole graph.
struct CutOrigin {
  const Node* node = nullptr;   ///< What it is a share of; of an exchange: what computes the value.
  const Node* reader = nullptr; ///< Of an exchange: the node that wanted it first, null if stored.
};

/// A step cut over devices.
struct CutStep {
  std::vector<Graph> graphs; ///< By device, with the same exchanges in the same order.
  std::unordered_map<const Node*, CutOrigin> origins;
};
/// The cuts must be legal.
CutStep cut_graph(const Graph& graph, const NodeCuts& cuts, const Strategy& strategy);

/// The exchanges of a device's graph, in order.
std::vector<Exchange> exchanges_of(const Graph& graph);

} // namespace netc
