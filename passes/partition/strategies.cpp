#include "passes/partition/strategies.h"

#include "ir/ops.h"
#include "passes/partition/partition.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace netc {

namespace {

using Kind = StrategyLayer::Kind;
using Layers = std::vector<StrategyLayer>;

bool is_weighted(const StrategyLayer& layer) {
  return layer.kind == Kind::convolution || layer.kind == Kind::linear;
}

/// Cuts every weighted layer, the loss and the input by choose(layer).
template <class Choose> void cut_each(Strategy& strategy, const Layers& layers, Choose choose) {
  for (const StrategyLayer& layer : layers)
    if (layer.kind != Kind::other)
      strategy.layers[layer.name] = choose(layer);
}

LayerCut by(Cut cut) {
  return {.cut = cut};
}

/// Whether the layer stands behind all convolutions.
bool behind_convolutions(const Layers& layers, const StrategyLayer& layer) {
  auto last = std::find_if(layers.rbegin(), layers.rend(),
                           [](const StrategyLayer& l) { return l.kind == Kind::convolution; });
  return last == layers.rend() || &layer > &*last;
}

void single(Strategy& strategy, const Layers& layers) {
  for (const StrategyLayer& layer : layers)
    strategy.layers[layer.name] = {.cut = Cut::device, .device = 0};
}

void data(Strategy& strategy, const Layers& layers) {
  cut_each(strategy, layers, [](const StrategyLayer&) { return by(Cut::data); });
}

void filter(Strategy& strategy, const Layers& layers) {
  cut_each(strategy, layers, [](const StrategyLayer& layer) {
    return by(layer.kind == Kind::input ? Cut::whole : Cut::filter);
  });
}

/// The images have too few channels to be summed over in parts; what follows a sum stays cut by
/// channels, as the next layer reads them.
void channel(Strategy& strategy, const Layers& layers) {
  bool first = true;
  cut_each(strategy, layers, [&](const StrategyLayer& layer) -> LayerCut {
    if (layer.kind == Kind::input)
      return by(Cut::whole);
    if (!is_weighted(layer) || layer.groups > 1 || std::exchange(first, false))
      return by(Cut::filter);
    return {.cut = Cut::channel, .then = Cut::filter};
  });
}

/// Why the layers have no towers for so many devices; else empty.
std::string no_towers(const Layers& layers, int devices) {
  for (const StrategyLayer& layer : layers)
    if (layer.groups % devices && layer.groups > 1)
      return fmt::format("the towers of `{}` are {} groups, which {} devices cannot share evenly",
                         layer.name, layer.groups, devices);
  if (std::none_of(layers.begin(), layers.end(), [](const auto& l) { return l.groups > 1; }))
    return "the network has no towers: no convolution has groups";
  return "";
}

/// As in 2012: the last layer and the loss on one device.
void towers_rank0(Strategy& strategy, const Layers& layers) {
  filter(strategy, layers);
  auto last = std::find_if(layers.rbegin(), layers.rend(), is_weighted);
  if (last == layers.rend())
    return;
  for (auto it = layers.rbegin(); it != last + 1; ++it)
    strategy.layers[it->name] = {.cut = Cut::device, .device = 0};
}

/// One weird trick, scheme (a): convolutions by samples, linear layers by features.
void owt(Strategy& strategy, const Layers& layers) {
  cut_each(strategy, layers, [&](const StrategyLayer& layer) {
    const bool model = layer.kind != Kind::input && behind_convolutions(layers, layer);
    return by(model ? Cut::filter : Cut::data);
  });
}

void spatial(Strategy& strategy, const Layers& layers) {
  cut_each(strategy, layers, [&](const StrategyLayer& layer) {
    if (layer.kind == Kind::input)
      return by(Cut::whole);
    return by(layer.kind == Kind::convolution ? Cut::spatial : Cut::filter);
  });
}

void zero(Strategy& strategy, const Layers& layers) {
  data(strategy, layers);
  strategy.sharded_update = true;
}

struct Maker {
  NamedStrategy named;
  void (*make)(Strategy&, const Layers&);
  bool towers = false; ///< Needs groups that the devices can share.
};

const std::vector<Maker>& makers() {
  static const std::vector<Maker> table = {
      {{"single", "one device does all, the others nothing"}, single},
      {{"data", "each device takes some samples; gradients are all-reduced"}, data},
      {{"zero", "as data, and each device updates a part of the parameters"}, zero},
      {{"towers", "the paper's: groups of convolutions stay home, the classes are cut"},
       filter,
       true},
      {{"towers-rank0", "the same with the last layer and the loss on device 0, as in 2012"},
       towers_rank0,
       true},
      {{"filter", "each device computes some output channels of every layer"}, filter},
      {{"channel", "each device sums over some input channels of every layer"}, channel},
      {{"owt", "one weird trick (a): convolutions by samples, linear layers by features"}, owt},
      {{"spatial", "convolutions by rows of the images, linear layers by features"}, spatial},
  };
  return table;
}

} // namespace

const std::vector<NamedStrategy>& named_strategies() {
  static const std::vector<NamedStrategy> list = [] {
    std::vector<NamedStrategy> names;
    for (const Maker& maker : makers())
      names.push_back(maker.named);
    return names;
  }();
  return list;
}

std::vector<std::string> strategy_names() {
  std::vector<std::string> names;
  for (const Maker& maker : makers())
    names.push_back(maker.named.name);
  return names;
}

Strategy named_strategy(const std::string& name, const Layers& layers, int devices,
                        const Loc& loc) {
  Diagnostics diagnostics;
  auto maker = std::find_if(makers().begin(), makers().end(),
                            [&](const Maker& m) { return m.named.name == name; });
  if (maker == makers().end()) {
    const std::vector<std::string> names = strategy_names();
    diagnostics
        .error(loc, fmt::format("there is no strategy `{}`{}", name, did_you_mean(name, names)))
        .note(fmt::format("strategies are {}{}", fmt::join(names, ", "),
                          loc.known() ? "" : "; or name a strategy file"));
  } else if (std::string reason = maker->towers ? no_towers(layers, devices) : "";
             !reason.empty()) {
    diagnostics.error(loc, reason).note("the strategy `filter` cuts any network");
  }
  diagnostics.throw_if_errors();
  Strategy strategy{.name = name, .devices = devices};
  maker->make(strategy, layers);
  return strategy;
}

Layers strategy_layers(const Graph& forward, const std::vector<LayerPlace>& places) {
  Layers layers;
  for (const LayerPlace& place : places) {
    StrategyLayer layer{.name = place.name};
    for (const auto& node : forward.nodes) {
      if (node->loc.line != place.loc.line || node->loc.column != place.loc.column)
        continue;
      if (node->op == &ops::conv2d)
        layer.kind = Kind::convolution, layer.groups = node->attrs.integer("groups");
      else if (node->op == &ops::linear)
        layer.kind = Kind::linear;
      else if (node->op == &ops::softmax_cross_entropy)
        layer.kind = Kind::loss;
      else if (node->op == &ops::input_image)
        layer.kind = Kind::input;
    }
    layers.push_back(layer);
  }
  return layers;
}

} // namespace netc
