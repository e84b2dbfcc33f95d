#include "passes/partition/strategies.h"

#include "ir/ops.h"
#include "passes/partition/partition.h"
#include "passes/partition/stages.h"

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

/// One weird trick, scheme (b): the devices' samples go through the linear layers in turns.
void owt_b(Strategy& strategy, const Layers& layers) {
  owt(strategy, layers);
  strategy.micro_batches = {strategy.devices, Schedule::one_forward_one_backward};
}

/// One weird trick, scheme (c): in each turn some samples of every device.
void owt_c(Strategy& strategy, const Layers& layers) {
  owt(strategy, layers);
  strategy.micro_batches = {strategy.devices, Schedule::round_robin};
}

/// 4, or 2 where the batch divides by that alone, or what there is.
int usual_micro_batches(const Layers& layers) {
  int64_t samples = 1;
  for (const StrategyLayer& layer : layers)
    samples = std::max(samples, layer.samples);
  if (samples % 4 && samples % 2 == 0)
    return 2;
  return static_cast<int>(std::min<int64_t>(4, samples));
}

void pipeline(Strategy& strategy, const Layers& layers) {
  std::vector<StageLayer> chain;
  for (const StrategyLayer& layer : layers)
    chain.push_back({layer.macs, layer.bytes});
  const std::vector<int> stages = balanced_stages(chain, strategy.devices);
  for (size_t i = 0; i < layers.size(); ++i)
    strategy.layers[layers[i].name] = {.cut = Cut::device, .device = stages[i]};
  strategy.micro_batches = {usual_micro_batches(layers), Schedule::gpipe};
}

void pipeline_1f1b(Strategy& strategy, const Layers& layers) {
  pipeline(strategy, layers);
  strategy.micro_batches.schedule = Schedule::one_forward_one_backward;
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
      {{"owt-b", "the same, the devices' samples one after the other in the linear layers"}, owt_b},
      {{"owt-c", "the same, in each turn some samples of every device"}, owt_c},
      {{"spatial", "convolutions by rows of the images, linear layers by features"}, spatial},
      {{"pipeline", "consecutive layers on each device, the batch in parts: all forward, all back"},
       pipeline},
      {{"pipeline-1f1b", "the same, each part back as soon as can be, which needs less memory"},
       pipeline_1f1b},
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
        .note(fmt::format("strategies are {}", fmt::join(names, ", ")));
  } else if (std::string reason = maker->towers ? no_towers(layers, devices) : "";
             !reason.empty()) {
    diagnostics.error(loc, reason).note("the strategy `filter` needs no towers");
  }
  diagnostics.throw_if_errors();
  Strategy strategy{.name = name, .devices = devices};
  maker->make(strategy, layers);
  return strategy;
}

namespace {

void describe(const Node& node, StrategyLayer& layer) {
  if (node.op == &ops::conv2d)
    layer.kind = Kind::convolution, layer.groups = node.attrs.integer("groups");
  else if (node.op == &ops::linear)
    layer.kind = Kind::linear;
  else if (node.op == &ops::softmax_cross_entropy)
    layer.kind = Kind::loss;
  else if (node.op == &ops::input_image)
    layer.kind = Kind::input, layer.samples = node.result()->type.shape[0];
  if (node.op->is_contraction())
    layer.macs += node.op->macs(node);
}

} // namespace

Layers strategy_layers(const Graph& forward, const std::vector<LayerPlace>& places) {
  Layers layers;
  std::map<std::pair<int, int>, size_t> index;
  for (const LayerPlace& place : places) {
    index[{place.loc.line, place.loc.column}] = layers.size();
    layers.push_back({.name = place.name});
  }
  std::map<const Value*, std::pair<size_t, size_t>> spans; // the layer of a value, its last reader
  for (const auto& node : forward.nodes) {
    auto own = index.find({node->loc.line, node->loc.column});
    if (own == index.end() || node->operands.empty()) // parameters belong to layers, too
      continue;
    describe(*node, layers[own->second]);
    for (const auto& result : node->results)
      spans[result.get()] = {own->second, own->second};
    for (const Value* operand : node->operands)
      if (auto span = spans.find(operand); span != spans.end())
        span->second.second = own->second;
  }
  for (const auto& [value, span] : spans)
    for (size_t i = span.first; i < span.second; ++i)
      layers[i].bytes += value->type.bytes();
  return layers;
}

} // namespace netc
