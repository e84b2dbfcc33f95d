#include "tools/driver/strategy.h"

#include "frontend/strategy.h"
#include "ir/support/files.h"
#include "passes/partition/strategies.h"
#include "tools/driver/compile.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace netc {

namespace {

std::vector<StrategyLayer> layers_of(const Network& network, int64_t batch) {
  return strategy_layers(forward_graph(network, batch_of(network, batch)), places_of(network));
}

bool is_strategy(const std::string& name) {
  const std::vector<std::string> names = strategy_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// A folder may have the name of a strategy, as `data` often does: names come first.
bool is_file(const std::string& name) {
  std::error_code ignored;
  return !is_strategy(name) && (name.ends_with(".yaml") || name.ends_with(".yml") ||
                                std::filesystem::exists(name, ignored));
}

Strategy from_file(const std::string& name, const Network& network, int devices, int64_t batch) {
  std::optional<std::string> text = read_text(name);
  if (!text)
    user_error(
        fmt::format("cannot read the strategy file `{}`", name),
        fmt::format("instead of a file it may be a name: {}", fmt::join(strategy_names(), ", ")));
  Diagnostics diagnostics;
  std::optional<StrategyFile> file = parse_strategy(*text, name, diagnostics);
  if (file && file->strategy.devices != devices)
    diagnostics
        .error(file->devices_loc, fmt::format("the strategy is for {} devices, not for {}",
                                              file->strategy.devices, devices))
        .note(fmt::format("ask for {} devices, or for another strategy", file->strategy.devices));
  diagnostics.throw_if_errors();
  if (file->base == "follow")
    return std::move(file->strategy);
  Strategy strategy =
      named_strategy(file->base, layers_of(network, batch), devices, file->base_loc);
  strategy.name = file->strategy.name;
  for (auto& [layer, cut] : file->strategy.layers)
    strategy.layers[layer] = std::move(cut);
  if (file->says_update)
    strategy.sharded_update = file->strategy.sharded_update;
  const MicroBatches& parts = file->strategy.micro_batches;
  if (parts.loc.known())
    strategy.micro_batches.count = parts.count, strategy.micro_batches.loc = parts.loc;
  if (file->says_schedule)
    strategy.micro_batches.schedule = parts.schedule;
  return strategy;
}

} // namespace

std::vector<LayerPlace> places_of(const Network& network) {
  std::vector<LayerPlace> places = {{"data", network.input_loc, {}}};
  for (const LayerDescription& layer : network.layers)
    places.push_back({layer.name, layer.loc, layer.from});
  return places;
}

Strategy resolve_strategy(const std::string& name_or_file, const Network& network, int devices,
                          int64_t batch) {
  if (!is_file(name_or_file) && !is_strategy(name_or_file)) {
    std::vector<std::string> names = strategy_names();
    names.emplace_back(found_strategy);
    if (name_or_file == found_strategy)
      user_error("`auto` is what a search finds when a step is cut, and no strategy of its own",
                 "`netc partition` and `--partition auto` search");
    user_error(
        fmt::format("there is no strategy `{}`{}", name_or_file, did_you_mean(name_or_file, names)),
        fmt::format("strategies are {}; or name a strategy file", fmt::join(names, ", ")));
  }
  return is_file(name_or_file) ? from_file(name_or_file, network, devices, batch)
                               : named_strategy(name_or_file, layers_of(network, batch), devices);
}

Strategy default_strategy(const Network& network, int devices, int64_t batch) {
  const PartitionSpec& section = network.partition;
  if (section.strategy.empty() || section.devices != devices)
    return named_strategy("data", layers_of(network, batch), devices);
  return named_strategy(section.strategy, layers_of(network, batch), devices, section.strategy_loc);
}

void check_partition(const Network& network, Diagnostics& diagnostics) {
  const PartitionSpec& section = network.partition;
  const std::vector<std::string> names = strategy_names();
  if (section.strategy.empty() || is_strategy(section.strategy))
    return;
  diagnostics
      .error(section.strategy_loc, fmt::format("there is no strategy `{}`{}", section.strategy,
                                               did_you_mean(section.strategy, names)))
      .note(
          fmt::format("strategies are {}; a file goes with `--partition`", fmt::join(names, ", ")));
}

} // namespace netc
