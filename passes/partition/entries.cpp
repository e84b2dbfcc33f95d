// What is wrong with the entries of a strategy, and what would be legal.

#include "passes/partition/layers.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>

namespace netc {

namespace {

using Ints = std::vector<int64_t>;

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

/// The loop over a value that a word means: a layer without a node has no loops of its own.
std::optional<Factor> factor_of(const Shape& shape, Cut cut) {
  static constexpr std::array cuts = {Cut::data, Cut::filter, Cut::spatial};
  const std::array names = {"batch", shape.size() == 2 ? "out_feature" : "channel", "height"};
  for (size_t dim = 0; dim < std::min(cuts.size(), shape.size()); ++dim)
    if (cuts[dim] == cut)
      return Factor{names[dim], shape[dim], FactorKind::parallel, {}, {}};
  return std::nullopt;
}

/// An entry of a strategy, and the node that it is about, or else the value.
struct Entry {
  const std::string& layer;
  const LayerCut& cut;
  const Node* node;
  const Value* value;

  std::optional<Factor> factor(Cut by) const {
    return node ? factor_for(*node, by) : factor_of(value->type.shape, by);
  }
  /// The channels of a group stay together, but channels are what bounds count.
  int64_t unit(const Factor& factor) const {
    return factor.name == "group" ? node->result()->type.shape[1] / factor.extent : 1;
  }
};

class EntryChecker {
public:
  EntryChecker(const GraphLayers& layers, const Strategy& strategy)
      : layers_(layers), strategy_(strategy), mesh_(Mesh::line(strategy.devices)) {}

  void run(const std::string& network) {
    check_names(network);
    for (const std::string& name : layers_.names())
      if (auto it = strategy_.layers.find(name); it != strategy_.layers.end())
        check({name, it->second, layers_.main(name), layers_.value_without_node(name)});
    diagnostics_.throw_if_errors();
  }

private:
  void check_names(const std::string& network) {
    const std::vector<std::string>& names = layers_.names();
    for (const auto& [name, cut] : strategy_.layers)
      if (std::find(names.begin(), names.end(), name) == names.end())
        diagnostics_
            .error(cut.loc, fmt::format("the network `{}` has no layer `{}`{}", network, name,
                                        did_you_mean(name, names)))
            .note(fmt::format("its layers are {}", fmt::join(names, ", ")));
  }

  void check(const Entry& entry) {
    const LayerCut& cut = entry.cut;
    if (cut.cut == Cut::whole || cut.cut == Cut::follow)
      return;
    if (cut.cut == Cut::device)
      return check_device(entry);
    if (entry.node || entry.value)
      return check_cut(entry);
    if (std::string problem = order_problem(cut.bounds); !problem.empty())
      report(cut.bounds_loc, entry, problem);
    else if (!cut.bounds.empty() && (cut.bounds.back() == 0 || cut.bounds.back() > INT32_MAX))
      report(cut.bounds_loc, entry, // others scale them
             fmt::format("`bounds` must end where the layer does, not at {}", cut.bounds.back()));
  }

  void check_device(const Entry& entry) {
    if (entry.cut.device < 0 || entry.cut.device >= strategy_.devices)
      report(entry.cut.loc, entry,
             fmt::format("there is no device {}, they are 0 to {}", entry.cut.device,
                         strategy_.devices - 1));
  }

  /// Whether the layer can be cut at all so is asked before where.
  void check_cut(const Entry& entry) {
    const LayerCut& cut = entry.cut;
    const std::optional<Factor> factor = entry.factor(cut.cut);
    if (!factor)
      return refuse(entry, fmt::format("its work cannot be divided by {}", divisor_of(cut.cut)));
    check_tail(entry);
    const std::string why = even_error(entry, *factor);
    if (!cut.bounds.empty())
      return check_bounds(entry, *factor, why);
    if (!is_enough(*factor))
      refuse(entry, fmt::format("it has {} {} for {} devices", factor->extent, things(*factor),
                                strategy_.devices));
    else if (!why.empty())
      refuse(entry, why);
  }

  /// How the sum over channels may be cut is a matter of what the layer computes.
  void check_tail(const Entry& entry) {
    const Cut then = entry.cut.then;
    if (entry.cut.cut != Cut::channel || then == Cut::follow || is_legal(entry, then))
      return;
    report(entry.cut.loc, entry, fmt::format("its sum cannot be cut by `{}`", to_string(then)))
        .note(fmt::format("over {} devices `then` may be {}", strategy_.devices,
                          legal_words(entry, {Cut::whole, Cut::data, Cut::filter, Cut::spatial})));
  }

  /// `why`: what is wrong with even bounds.
  void check_bounds(const Entry& entry, const Factor& factor, const std::string& why) {
    const Ints& bounds = entry.cut.bounds;
    std::string problem = order_problem(bounds), error;
    if (problem.empty())
      problem = extent_problem(entry, factor);
    if (problem.empty())
      error = error_of(entry, factor, bounds_for(bounds, factor, strategy_.devices));
    if (problem.empty() && error.empty())
      return;
    if (!why.empty())
      return refuse(entry, error.empty() ? why : error);
    Ints even = even_bounds(factor.extent, strategy_.devices);
    for (int64_t& bound : even)
      bound *= entry.unit(factor);
    Diagnostic& diagnostic = report(
        entry.cut.bounds_loc, entry,
        problem.empty() ? fmt::format("cannot be cut at [{}]", fmt::join(bounds, ", ")) : problem);
    if (!error.empty())
      diagnostic.note(error);
    diagnostic.note(fmt::format("even ones are [{}]", fmt::join(even, ", ")));
  }

  /// What is wrong with bounds of whatever there is; empty where nothing is, or none are given.
  std::string order_problem(const Ints& bounds) const {
    const size_t count = static_cast<size_t>(strategy_.devices) + 1;
    if (bounds.empty())
      return "";
    if (bounds.size() != count)
      return fmt::format("`bounds` must have {} numbers: where the part of each of {} devices "
                         "begins, and the end; it has {}",
                         count, strategy_.devices, bounds.size());
    if (bounds.front() != 0)
      return fmt::format("`bounds` must begin at 0, not {}", bounds.front());
    for (size_t i = 1; i < count; ++i)
      if (bounds[i] < bounds[i - 1])
        return fmt::format("`bounds` must ascend, {} follows {}", bounds[i], bounds[i - 1]);
    return "";
  }

  static std::string extent_problem(const Entry& entry, const Factor& factor) {
    const Ints& bounds = entry.cut.bounds;
    const int64_t unit = entry.unit(factor), extent = factor.extent * unit;
    if (bounds.back() != extent)
      return fmt::format("`bounds` must end at {}, as there are {} {}, not at {}", extent, extent,
                         things(factor), bounds.back());
    for (int64_t bound : bounds)
      if (bound % unit)
        return fmt::format("`bounds` must lie between groups of {} channels, {} does not", unit,
                           bound);
    return "";
  }

  /// Why the entry's node cannot be cut at these iterations; else empty.
  std::string error_of(const Entry& entry, const Factor& factor, const Ints& bounds) const {
    return entry.node ? shard_node(*entry.node, {{{factor.name, bounds, 0}}, -1}, mesh_).error
                      : std::string();
  }

  std::string even_error(const Entry& entry, const Factor& factor) const {
    return error_of(entry, factor, even_bounds(factor.extent, strategy_.devices));
  }

  /// Groups may be fewer than devices, some of which are idle then.
  bool is_enough(const Factor& factor) const {
    return factor.name == "group" || factor.extent >= strategy_.devices;
  }

  bool is_legal(const Entry& entry, Cut cut) const {
    if (cut == Cut::whole || cut == Cut::device)
      return true;
    std::optional<Factor> factor = entry.factor(cut);
    return factor && is_enough(*factor) && even_error(entry, *factor).empty();
  }

  std::string legal_words(const Entry& entry, std::initializer_list<Cut> cuts) const {
    std::vector<std::string> words;
    for (Cut cut : cuts)
      if (is_legal(entry, cut))
        words.push_back(fmt::format("`{}`", to_string(cut)));
    return fmt::format("{}", fmt::join(words, ", "));
  }

  /// Reports a mistake of an entry at `loc`, or at the layer where the strategy is no file.
  Diagnostic& report(const Loc& loc, const Entry& entry, const std::string& message) {
    const std::string text = fmt::format("layer `{}`: {}", entry.layer, message);
    if (loc.known())
      return diagnostics_.error(loc, text);
    return diagnostics_.error(layers_.loc(entry.layer),
                              fmt::format("strategy `{}`: {}", strategy_.name, text));
  }

  /// The same for a cut that is not legal. Named strategies ask the same of many layers: of what is
  /// wrong with all of them, the first is enough.
  void refuse(const Entry& entry, const std::string& why) {
    const Cut cut = entry.cut.cut;
    if (!entry.cut.loc.known() && !refused_.insert(cut).second)
      return;
    report(entry.cut.loc, entry, fmt::format("cannot be cut by `{}`", to_string(cut)))
        .note(why)
        .note(fmt::format("over {} devices it may be {}", strategy_.devices,
                          legal_words(entry, {Cut::whole, Cut::data, Cut::filter, Cut::channel,
                                              Cut::spatial, Cut::device})));
  }

  const GraphLayers& layers_;
  const Strategy& strategy_;
  const Mesh mesh_;
  std::set<Cut> refused_;
  Diagnostics diagnostics_;
};

} // namespace

void check_entries(const GraphLayers& layers, const Strategy& strategy,
                   const std::string& network) {
  EntryChecker(layers, strategy).run(network);
}

} // namespace netc
