// From the words of a strategy to the cut of every node.

#include "ir/ops.h"
#include "passes/partition/layers.h"

#include <algorithm>

namespace netc {

namespace {

/// The cut of one node: a word with the layer's bounds.
struct Word {
  Cut cut = Cut::whole;
  std::vector<int64_t> bounds{};
  int device = 0;
};

class CutAssigner {
public:
  CutAssigner(const Graph& graph, const GraphLayers& layers, const Strategy& strategy,
              const GradientOrigins& origins)
      : graph_(graph), layers_(layers), strategy_(strategy), mesh_(Mesh::line(strategy.devices)),
        origins_(origins) {}

  NodeCuts run() {
    for (const auto& node : graph_.nodes) {
      if (!is_cut(*node))
        continue;
      auto origin = origins_.find(node.get());
      Word word =
          origin == origins_.end() ? forward_word(*node) : gradient_word(*node, *origin->second);
      cuts_[node.get()] = cut_of(*node, word);
      words_[node.get()] = std::move(word);
    }
    return std::move(cuts_);
  }

private:
  LayerCut asked(const Node& node) const { return layers_.asked(layers_.of(node)); }

  /// As what the node reads is cut; sources of data say nothing.
  Word inherited(const Node& node) const {
    const Value* read = followed(node);
    if (!read)
      return {};
    for (const std::string& layer : layers_.absent_before(node))
      if (LayerCut cut = layers_.asked(layer); cut.cut != Cut::follow)
        return {cut.cut, cut.bounds, cut.device};
    return tail_of(*read->node, words_.at(read->node));
  }

  /// How the result of a node is cut: that of a sum over channels as the layer says.
  Word tail_of(const Node& node, const Word& word) const {
    if (word.cut != Cut::channel)
      return word;
    LayerCut layer = asked(node);
    return {layer.then == Cut::follow ? Cut::whole : layer.then, {}, 0};
  }

  Word forward_word(const Node& node) const {
    LayerCut layer = asked(node);
    const Node* main = layers_.main(layers_.of(node));
    if (main && main->op->is_contraction() && main != &node && layer.cut != Cut::device)
      return inherited(node); // what precedes a contraction, or its bias
    if (layer.cut == Cut::follow)
      return inherited(node);
    return {layer.cut, layer.bounds, layer.device};
  }

  /// As the node whose gradient it is; what was summed over channels has a gradient that is not.
  Word gradient_word(const Node& node, const Node& of) const {
    auto it = words_.find(&of);
    if (it == words_.end())
      return {};
    return node.op->is_contraction() ? it->second : tail_of(of, it->second);
  }

  /// Sums over what every device may have for nothing are not cut, and nothing is that has no loop
  /// of the kind, or that cannot be cut where what it follows is.
  NodeCut cut_of(const Node& node, const Word& word) const {
    if (word.cut == Cut::device)
      return {{}, word.device};
    std::optional<Factor> factor = factor_for(node, word.cut);
    const bool of_feeds =
        std::all_of(node.operands.begin(), node.operands.end(), [](const Value* operand) {
          return operand->node->op == &ops::feed && operand->type.shape.size() == 1;
        });
    if (!factor || (of_feeds && factor->kind == FactorKind::reduction))
      return {};
    NodeCut cut{{{factor->name, bounds_for(word.bounds, *factor, strategy_.devices), 0}}, -1};
    return shard_node(node, cut, mesh_).error.empty() ? cut : NodeCut{};
  }

  const Graph& graph_;
  const GraphLayers& layers_;
  const Strategy& strategy_;
  const Mesh mesh_;
  const GradientOrigins& origins_;
  std::unordered_map<const Node*, Word> words_;
  NodeCuts cuts_;
};

} // namespace

NodeCuts assign_cuts(const Graph& graph, const PartitionSpecification& specification,
                     const GradientOrigins& origins) {
  const GraphLayers layers(graph, specification, origins);
  check_entries(layers, specification.strategy, graph.name);
  return CutAssigner(graph, layers, specification.strategy, origins).run();
}

} // namespace netc
