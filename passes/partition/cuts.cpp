// From the words of a strategy to the cut of every node.

#include "ir/ops.h"
#include "passes/partition/partition.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

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

/// What a loop runs over, for people.
std::string things(const Factor& factor) {
  static const std::map<std::string, std::string> words = {{"batch", "samples"},
                                                           {"group", "channels"},
                                                           {"out_channel", "channels"},
                                                           {"channel", "channels"},
                                                           {"out_feature", "features"},
                                                           {"class", "classes"},
                                                           {"in_channel", "input channels"},
                                                           {"in_feature", "input features"},
                                                           {"height", "rows"}};
  return words.at(factor.name);
}

/// What the work of a layer must come in to be cut so, for people.
std::string_view divisor_of(Cut cut) {
  switch (cut) {
  case Cut::data:
    return "samples";
  case Cut::filter:
    return "channels, features or classes of the result";
  case Cut::channel:
    return "channels or features that weights sum over";
  case Cut::spatial:
    return "rows of images";
  default:
    return "";
  }
}

/// The bounds of a layer in iterations of a loop of one that follows it: in proportion.
std::vector<int64_t> bounds_for(const std::vector<int64_t>& bounds, const Factor& factor,
                                int devices) {
  if (bounds.empty() || bounds.back() <= 0) // what is wrong is reported where it is asked for
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
    std::map<std::pair<int, int>, std::string> names;
    for (const LayerPlace& layer : specification.layers) {
      if (layer.loc.known())
        names[{layer.loc.line, layer.loc.column}] = layer.name;
      places_[layer.name] = &layer;
    }
    for (const auto& node : graph.nodes) {
      auto name = names.find({node->loc.line, node->loc.column});
      const std::string& layer = layers_[node.get()] =
          name == names.end() ? node->name : name->second;
      present_.insert(layer);
      if (origins_.count(node.get()))
        continue;
      const Node*& main = main_[layer];
      if (node->op->is_contraction() || node->op == &ops::class_max)
        main = node.get();
      else if (!main && node->name == layer)
        main = node.get();
    }
  }

  NodeCuts run() {
    check_names();
    for (const auto& node : graph_.nodes) {
      if (node->op == &ops::parameter || node->op == &ops::feed || node->op->is_update())
        continue;
      auto origin = origins_.find(node.get());
      Word word =
          origin == origins_.end() ? forward_word(*node) : gradient_word(*node, *origin->second);
      cuts_[node.get()] = cut_of(*node, word);
      words_[node.get()] = std::move(word);
    }
    diagnostics_.throw_if_errors();
    return std::move(cuts_);
  }

private:
  const std::string& layer_of(const Node& node) const { return layers_.at(&node); }

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
      if (auto it = words_.find(operand->node); it != words_.end()) {
        if (const LayerCut* cut = cut_on_the_way(*operand->node, node))
          return {cut->cut, cut->bounds, cut->device};
        return tail_of(*operand->node, it->second);
      }
    return {};
  }

  /// What was asked for a layer between two nodes that left no node, as dropout may at inference:
  /// what follows it is cut as in training, since both have the same parameters.
  const LayerCut* cut_on_the_way(const Node& from, const Node& to) const {
    if (layer_of(from) == layer_of(to))
      return nullptr;
    for (auto at = places_.find(layer_of(to)); at != places_.end() && !at->second->from.empty();) {
      const std::string& read = at->second->from[0];
      if (present_.count(read))
        return nullptr;
      if (auto it = strategy_.layers.find(read);
          it != strategy_.layers.end() && it->second.cut != Cut::follow)
        return &it->second;
      at = places_.find(read);
    }
    return nullptr;
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
    const Node* main = main_.at(layer_of(node));
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
  /// of the kind. Bounds that are wrong are dropped from the word, which others may follow.
  NodeCut cut_of(const Node& node, Word& word) {
    const bool is_asked = is_main(node) && asked(node).cut == word.cut;
    if (word.cut == Cut::device) {
      if (is_asked)
        check_device(node, word.device);
      return {{}, word.device};
    }
    std::optional<Factor> factor = factor_for(node, word.cut);
    if (is_asked && !check_entry(node, factor, word))
      word.bounds.clear();
    const bool of_feeds =
        std::all_of(node.operands.begin(), node.operands.end(), [](const Value* operand) {
          return operand->node->op == &ops::feed && operand->type.shape.size() == 1;
        });
    if (!factor || (of_feeds && factor->kind == FactorKind::reduction))
      return {};
    NodeCut cut{{{factor->name, bounds_for(word.bounds, *factor, strategy_.devices), 0}}, -1};
    NodeSharding sharding = shard_node(node, cut, mesh_);
    if (sharding.error.empty())
      return cut;
    if (is_asked)
      refuse(node, fmt::format("cannot be cut by `{}`", to_string(word.cut)), sharding.error);
    return {};
  }

  void check_device(const Node& node, int device) {
    if (device < 0 || device >= strategy_.devices)
      report(asked(node).loc, node,
             fmt::format("there is no device {}, they are 0 to {}", device, strategy_.devices - 1));
  }

  /// Refuses what the strategy asks of this very layer; what follows others does as well as it can.
  /// False where the layer's bounds must not be used.
  bool check_entry(const Node& node, const std::optional<Factor>& factor, const Word& word) {
    if (word.cut == Cut::whole || word.cut == Cut::follow)
      return true;
    if (word.cut == Cut::channel)
      check_tail(node, asked(node).then);
    if (!factor) {
      refuse(node, fmt::format("cannot be cut by `{}`", to_string(word.cut)),
             fmt::format("its work cannot be divided by {}", divisor_of(word.cut)));
      return false;
    }
    if (!word.bounds.empty())
      return check_bounds(node, *factor, word.bounds);
    if (!is_enough(*factor))
      refuse(node, fmt::format("cannot be cut by `{}`", to_string(word.cut)),
             fmt::format("it has {} {} for {} devices", factor->extent, things(*factor),
                         strategy_.devices));
    return true;
  }

  /// How the sum over channels may be cut is a matter of what the layer computes.
  void check_tail(const Node& node, Cut then) {
    if (then == Cut::follow || then == Cut::whole || is_legal(node, then))
      return;
    report(asked(node).loc, node, fmt::format("its sum cannot be cut by `{}`", to_string(then)))
        .note(fmt::format("over {} devices `then` may be {}", strategy_.devices,
                          legal_words(node, {Cut::whole, Cut::data, Cut::filter, Cut::spatial})));
  }

  /// Groups may be fewer than devices, some of which are idle then.
  bool is_enough(const Factor& factor) const {
    return factor.name == "group" || factor.extent >= strategy_.devices;
  }

  /// The channels of a group stay together, but channels are what bounds count.
  static int64_t unit_of(const Node& node, const Factor& factor) {
    return factor.name == "group" ? node.result()->type.shape[1] / factor.extent : 1;
  }

  bool check_bounds(const Node& node, const Factor& factor, const std::vector<int64_t>& bounds) {
    const int64_t unit = unit_of(node, factor), extent = factor.extent * unit;
    const size_t count = static_cast<size_t>(strategy_.devices) + 1;
    std::string problem;
    if (bounds.size() != count)
      problem = fmt::format("must have {} numbers: where the part of each of {} devices begins, "
                            "and the end; it has {}",
                            count, strategy_.devices, bounds.size());
    else if (bounds.front() != 0)
      problem = fmt::format("must begin at 0, not {}", bounds.front());
    else if (bounds.back() != extent)
      problem = fmt::format("must end at {}, as there are {} {}, not at {}", extent, extent,
                            things(factor), bounds.back());
    for (size_t i = 1; problem.empty() && i < count; ++i)
      if (bounds[i] < bounds[i - 1])
        problem = fmt::format("must ascend, {} follows {}", bounds[i], bounds[i - 1]);
      else if (bounds[i] % unit)
        problem =
            fmt::format("must lie between groups of {} channels, {} does not", unit, bounds[i]);
    if (problem.empty())
      return true;
    std::vector<int64_t> even = even_bounds(factor.extent, strategy_.devices);
    for (int64_t& bound : even)
      bound *= unit;
    report(asked(node).bounds_loc, node, fmt::format("`bounds` {}", problem))
        .note(fmt::format("even ones are [{}]", fmt::join(even, ", ")));
    return false;
  }

  /// The node that a layer's entry in a strategy is about.
  bool is_main(const Node& node) const {
    auto main = main_.find(layer_of(node));
    return main != main_.end() && main->second == &node;
  }

  /// Reports a mistake of the layer's entry at `loc`, or at the layer where the strategy is no
  /// file.
  Diagnostic& report(const Loc& loc, const Node& node, const std::string& message) {
    const std::string text = fmt::format("layer `{}`: {}", layer_of(node), message);
    if (loc.known())
      return diagnostics_.error(loc, text);
    return diagnostics_.error(node.loc, fmt::format("strategy `{}`: {}", strategy_.name, text));
  }

  /// The same for a cut that is not legal. Named strategies ask the same of many layers: of what is
  /// wrong with all of them, the first is enough.
  void refuse(const Node& node, const std::string& message, const std::string& why) {
    const LayerCut layer = asked(node);
    if (!layer.loc.known() && !refused_.insert(message).second)
      return;
    report(layer.loc, node, message)
        .note(why)
        .note(fmt::format("over {} devices it may be {}", strategy_.devices,
                          legal_words(node, {Cut::whole, Cut::data, Cut::filter, Cut::channel,
                                             Cut::spatial, Cut::device})));
  }

  std::string legal_words(const Node& node, std::initializer_list<Cut> cuts) const {
    std::vector<std::string> words;
    for (Cut cut : cuts)
      if (is_legal(node, cut))
        words.push_back(fmt::format("`{}`", to_string(cut)));
    return fmt::format("{}", fmt::join(words, ", "));
  }

  bool is_legal(const Node& node, Cut cut) const {
    if (cut == Cut::whole || cut == Cut::device)
      return true;
    std::optional<Factor> factor = factor_for(node, cut);
    return factor && is_enough(*factor) &&
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
  std::unordered_map<const Node*, std::string> layers_;
  std::unordered_map<std::string, const LayerPlace*> places_;
  std::set<std::string> present_; ///< Layers that have nodes.
  /// By layer, the node that its entry is about: its contraction, or that of its own name.
  std::unordered_map<std::string, const Node*> main_;
  std::unordered_map<const Node*, Word> words_;
  NodeCuts cuts_;
  std::set<std::string> refused_;
  Diagnostics diagnostics_;
};

} // namespace

NodeCuts assign_cuts(const Graph& graph, const PartitionSpecification& specification,
                     const GradientOrigins& origins) {
  return CutAssigner(graph, specification, origins).run();
}

} // namespace netc
