// From the words of a strategy to the cut of every node.

#include "ir/ops.h"
#include "passes/partition/partition.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace netc {

namespace {

/// Loops that a word may mean, the first that an operator has.
std::vector<std::string> factors_of(Cut cut) {
  switch (cut) {
  case Cut::data:
    return {"batch"};
  case Cut::filter:
    return {"group", "out_channel", "out_feature", "class", "channel"};
  case Cut::channel:
    return {"in_channel", "in_feature"};
  case Cut::spatial:
    return {"height"};
  default:
    return {};
  }
}

std::optional<Factor> factor_for(const Node& node, Cut cut) {
  for (const std::string& name : factors_of(cut))
    if (std::optional<Factor> factor = find_factor(node, name))
      if (factor->name != "group" || factor->extent > 1)
        return factor;
  return std::nullopt;
}

/// The bounds of a layer in iterations of `factor`: as they are, in groups, or in proportion.
std::vector<int64_t> bounds_for(const std::vector<int64_t>& bounds, const Factor& factor,
                                int devices) {
  if (bounds.empty())
    return even_bounds(factor.extent, devices);
  std::vector<int64_t> scaled;
  for (int64_t bound : bounds)
    scaled.push_back((bound * factor.extent + bounds.back() / 2) / bounds.back());
  return scaled;
}

/// The cut of one node: a word with the layer's bounds.
struct Word {
  Cut cut = Cut::whole;
  std::vector<int64_t> bounds{};
  int device = 0;
};

class CutAssigner {
public:
  CutAssigner(const Graph& graph, const PartitionSpecification& specification,
              const GradientOrigins& origins)
      : graph_(graph), specification_(specification), strategy_(specification.strategy),
        mesh_(Mesh::line(strategy_.devices)), origins_(origins) {
    for (const auto& node : graph.nodes)
      if (node->op->is_contraction() && !origins_.count(node.get()))
        weighted_[layer_of(*node)] = node.get();
  }

  NodeCuts run() {
    check_names();
    for (const auto& node : graph_.nodes) {
      if (node->op == &ops::parameter || node->op == &ops::feed || node->op->is_update())
        continue;
      auto origin = origins_.find(node.get());
      Word word =
          origin == origins_.end() ? forward_word(*node) : gradient_word(*node, *origin->second);
      words_[node.get()] = word;
      cuts_[node.get()] = cut_of(*node, word);
    }
    diagnostics_.throw_if_errors();
    return std::move(cuts_);
  }

private:
  std::string layer_of(const Node& node) const {
    for (const LayerPlace& layer : specification_.layers)
      if (layer.loc.known() && layer.loc.line == node.loc.line &&
          layer.loc.column == node.loc.column)
        return layer.name;
    return node.name;
  }

  void check_names() {
    std::vector<std::string> names;
    for (const LayerPlace& layer : specification_.layers)
      names.push_back(layer.name);
    if (names.empty())
      for (const auto& node : graph_.nodes)
        names.push_back(node->name);
    for (const auto& [name, cut] : strategy_.layers)
      if (std::find(names.begin(), names.end(), name) == names.end())
        diagnostics_
            .error(cut.loc, fmt::format("the network `{}` has no layer `{}`{}", graph_.name, name,
                                        did_you_mean(name, names)))
            .note(fmt::format("its layers are {}", fmt::join(names, ", ")));
  }

  /// What was asked for the node's layer; `follow` where nothing was.
  LayerCut asked(const Node& node) const {
    auto it = strategy_.layers.find(layer_of(node));
    return it == strategy_.layers.end() ? LayerCut{} : it->second;
  }

  /// As what the node reads is cut; sources of data say nothing.
  Word inherited(const Node& node) const {
    for (const Value* operand : node.operands)
      if (auto it = words_.find(operand->node); it != words_.end())
        return tail_of(*operand->node, it->second);
    return {};
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
    auto weighted = weighted_.find(layer_of(node));
    const bool main = node.op->is_contraction();
    if (weighted != weighted_.end() && !main && layer.cut != Cut::device)
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
  /// of the kind.
  NodeCut cut_of(const Node& node, const Word& word) {
    if (word.cut == Cut::device) {
      check_device(node, word.device);
      return {{}, word.device};
    }
    std::optional<Factor> factor = factor_for(node, word.cut);
    const bool of_feeds =
        std::all_of(node.operands.begin(), node.operands.end(), [](const Value* operand) {
          return operand->node->op == &ops::feed && operand->type.shape.size() == 1;
        });
    if (!factor || (of_feeds && factor->kind == FactorKind::reduction))
      return {};
    return checked(node, *factor, word,
                   {{{factor->name, bounds_for(word.bounds, *factor, strategy_.devices), 0}}, -1});
  }

  void check_device(const Node& node, int device) {
    if (device < 0 || device >= strategy_.devices)
      report(node,
             fmt::format("there is no device {}, they are 0 to {}", device, strategy_.devices - 1));
  }

  /// Refuses what the strategy asks of this very layer; what follows others does as well as it can.
  NodeCut checked(const Node& node, const Factor& factor, const Word& word, NodeCut cut) {
    const bool is_asked = asked(node).cut == word.cut && is_main(node);
    if (!word.bounds.empty() && static_cast<int>(word.bounds.size()) != strategy_.devices + 1) {
      if (is_asked)
        report(node, fmt::format("`bounds` has {} numbers, must have {}: where the shares of {} "
                                 "devices begin, and the end",
                                 word.bounds.size(), strategy_.devices + 1, strategy_.devices));
      return {};
    }
    if (is_asked && word.bounds.empty() && factor.name != "group" &&
        factor.extent < strategy_.devices)
      report(node, fmt::format("cannot be cut by `{}` over {} devices: its {} has {}",
                               to_string(word.cut), strategy_.devices, factor.name, factor.extent));
    NodeSharding sharding = shard_node(node, cut, mesh_);
    if (sharding.error.empty())
      return cut;
    if (is_asked)
      report(node, fmt::format("cannot be cut by `{}`: {}", to_string(word.cut), sharding.error));
    return {};
  }

  /// The node that a layer's entry in a strategy is about.
  bool is_main(const Node& node) const {
    if (origins_.count(&node))
      return false;
    const std::string layer = layer_of(node);
    auto weighted = weighted_.find(layer);
    return weighted == weighted_.end() ? node.name == layer : weighted->second == &node;
  }

  void report(const Node& node, const std::string& message) {
    const LayerCut layer = asked(node);
    Diagnostic& error = diagnostics_.error(layer.loc.known() ? layer.loc : node.loc,
                                           fmt::format("layer `{}`: {}", layer_of(node), message));
    std::vector<std::string> legal;
    for (Cut cut : {Cut::whole, Cut::data, Cut::filter, Cut::channel, Cut::spatial, Cut::device})
      if (is_legal(node, cut))
        legal.push_back(std::string(to_string(cut)));
    error.note(
        fmt::format("over {} devices it may be {}", strategy_.devices, fmt::join(legal, ", ")));
  }

  bool is_legal(const Node& node, Cut cut) const {
    if (cut == Cut::whole || cut == Cut::device)
      return true;
    std::optional<Factor> factor = factor_for(node, cut);
    return factor && factor->extent >= strategy_.devices &&
           shard_node(node,
                      {{{factor->name, even_bounds(factor->extent, strategy_.devices), 0}}, -1},
                      mesh_)
               .error.empty();
  }

  const Graph& graph_;
  const PartitionSpecification& specification_;
  const Strategy& strategy_;
  const Mesh mesh_;
  const GradientOrigins& origins_;
  std::unordered_map<std::string, const Node*> weighted_; ///< The contraction of each layer.
  std::unordered_map<const Node*, Word> words_;
  NodeCuts cuts_;
  Diagnostics diagnostics_;
};

} // namespace

NodeCuts assign_cuts(const Graph& graph, const PartitionSpecification& specification,
                     const GradientOrigins& origins) {
  return CutAssigner(graph, specification, origins).run();
}

} // namespace netc
