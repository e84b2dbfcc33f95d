#include "tests/support/cut_steps.h"

#include "ir/ops.h"
#include "passes/partition/strategies.h"
#include "tools/driver/compile.h"
#include "tools/driver/strategy.h"

#include <array>
#include <cmath>
#include <sstream>

namespace netc::test {

namespace {

Graph passed(const Network& network, Mode mode, const PartitionSpecification* partition, int device,
             const std::string& stop_after) {
  PassContext context;
  context.mode = mode;
  context.optimizer = network.recipe.train.optimizer;
  context.partition = partition;
  context.device = device;
  Graph graph = forward_graph(network, network.recipe.train.batch);
  std::ostringstream dump;
  run_pipeline(graph, context, {.stop_after = stop_after, .verify_each = true}, dump);
  return graph;
}

/// Weights that neither blow values up nor let them vanish; small momenta.
Draw parameter_draw(const Node& node) {
  const double limit = node.attrs.flag("trainable")
                           ? 1.5 / std::sqrt(static_cast<double>(node.attrs.integer("fan_in")))
                           : 0.01;
  return uniform(-limit, limit);
}

bool is_legal(const Network& network, const Strategy& strategy) {
  try {
    const PartitionSpecification partition{strategy, places_of(network)};
    passed(network, Mode::train, &partition, 0, "partition");
    return true;
  } catch (const UserError&) {
    return false;
  }
}

/// How many things a layer has to be cut between by bounds; 0 where none.
int64_t extent_of(const Graph& forward, const LayerPlace& layer, Cut cut) {
  for (const auto& node : forward.nodes) {
    if (node->loc.line != layer.loc.line || node->loc.column != layer.loc.column ||
        node->operands.empty())
      continue;
    const Shape &shape = node->result()->type.shape, &read = node->operands[0]->type.shape;
    if (cut == Cut::data)
      return shape[0];
    if (cut == Cut::filter && shape.size() > 1)
      return shape[1];
    if (cut == Cut::channel && read.size() > 1)
      return read[1];
    if (cut == Cut::spatial && shape.size() > 2)
      return shape[2];
  }
  return 0;
}

LayerCut random_cut(const Graph& forward, const LayerPlace& layer, int devices,
                    const StrategyDraw& how, Random& random) {
  static constexpr std::array cuts = {Cut::whole,   Cut::data,   Cut::filter, Cut::channel,
                                      Cut::channel, Cut::device, Cut::spatial};
  static constexpr std::array tails = {Cut::whole, Cut::data, Cut::filter, Cut::spatial};
  LayerCut cut{.cut = cuts[random() % (cuts.size() - (how.spatial ? 0 : 1))],
               .device = static_cast<int>(random() % static_cast<uint64_t>(devices))};
  if (cut.cut == Cut::channel)
    cut.then = tails[random() % (tails.size() - (how.spatial ? 0 : 1))];
  if (const int64_t extent = extent_of(forward, layer, cut.cut); how.uneven && extent > 0)
    if (random() % 3 == 0)
      cut.bounds = random_bounds(extent, devices, random);
  return cut;
}

} // namespace

std::vector<Graph> cut_step(const Network& network, const Strategy& strategy, Mode mode,
                            const std::string& stop_after) {
  const PartitionSpecification partition{strategy, places_of(network)};
  std::vector<Graph> graphs;
  for (int device = 0; device < strategy.devices; ++device)
    graphs.push_back(passed(network, mode, &partition, device, stop_after));
  return graphs;
}

Graph whole_step(const Network& network, Mode mode) {
  return passed(network, mode, nullptr, 0, "partition");
}

Tensors step_inputs(const Graph& graph, Random& random) {
  static const std::map<std::string, Draw> feeds = {{"images", integers(0, 255)},
                                                    {"labels", integers(-1, 4)},
                                                    {"sample_ids", integers(0, 1'000'000)},
                                                    {"epochs", integers(0, 90)},
                                                    {"seed", integers(0, 1'000'000)},
                                                    {"step", integers(0, 1'000'000)},
                                                    {"rate", values({0.01})}};
  Tensors inputs;
  for (const auto& node : graph.nodes) {
    const Value* value = node->results.empty() ? nullptr : node->result();
    if (node->op == &ops::feed)
      inputs[value->name] = draw(value->type, feeds.at(value->name), random);
    else if (node->op == &ops::parameter)
      inputs[value->name] = draw(value->type, parameter_draw(*node), random);
  }
  return inputs;
}

std::vector<Strategy> named_strategies_of(const Network& network, int devices) {
  std::vector<Strategy> list;
  for (const std::string& name : strategy_names())
    try {
      Strategy strategy = resolve_strategy(name, network, devices);
      if (is_legal(network, strategy))
        list.push_back(std::move(strategy));
    } catch (const UserError&) {
      // It does not suit the network.
    }
  return list;
}

Strategy random_legal_strategy(const Network& network, int devices, const StrategyDraw& how,
                               Random& random) {
  const Graph forward = forward_graph(network, network.recipe.train.batch);
  Strategy strategy{.name = "random", .devices = devices, .sharded_update = random() % 2 == 0};
  for (const LayerPlace& layer : places_of(network)) {
    if (random() % 3 == 0)
      continue;
    strategy.layers[layer.name] = random_cut(forward, layer, devices, how, random);
    if (!is_legal(network, strategy))
      strategy.layers.erase(layer.name);
  }
  return strategy;
}

} // namespace netc::test
