// The configuration of a training run, kept in its folder.

#include "tools/netc/training_run.h"

#include <algorithm>

namespace netc::cli {

namespace {

constexpr const char* config_name = "config.json";

std::string config_text(const TrainFlags& flags, const RunSetup& setup) {
  nlohmann::ordered_json json = {{"net", flags.net},
                                 {"data", flags.data},
                                 {"epochs", flags.epochs},
                                 {"steps", flags.steps},
                                 {"seed", flags.seed},
                                 {"checkpoint_every", flags.checkpoint_every},
                                 {"validate", flags.validate},
                                 {"batch", flags.batch},
                                 {"threads", flags.threads},
                                 {"math", flags.math},
                                 {"devices", flags.devices},
                                 {"partition", setup.cut_name},
                                 {"memory_limit", flags.memory_limit},
                                 {"precision", flags.precision}};
  return json.dump(2) + "\n";
}

/// The devices and the strategy of a resumed run. Over another number of devices it is cut as a new
/// run would be.
void merge_devices(TrainFlags& flags, const nlohmann::json& json, const RunDirectory& run) {
  // Runs of netc before it had `--devices` say `device`, or nothing.
  const std::string stored = json.value("devices", json.value("device", std::string()));
  if (!flags.given.count("devices") && !flags.given.count("device"))
    flags.devices = stored;
  const auto number = static_cast<std::ptrdiff_t>(named_devices(flags).size());
  const bool as_many = number == 1 + std::count(stored.begin(), stored.end(), ',');
  if (as_many && !flags.given.count("partition") && run.has(strategy_file))
    flags.kept_strategy = json.at("partition").get<std::string>();
}

} // namespace

void merge_config(TrainFlags& flags, const RunDirectory& run) {
  if (!run.has(config_name))
    return;
  auto fixed = [&](const char* name, auto& flag, const auto& stored) {
    if (flags.given.count(name) && flag != stored)
      user_error(fmt::format("`{}` was started with `--{} {}`, not {}", run.path().string(), name,
                             stored, flag),
                 fmt::format("leave out `--{}`, or start a new run", name));
    flag = stored;
  };
  auto free = [&](const char* name, auto& flag, const auto& stored) {
    if (!flags.given.count(name))
      flag = stored;
  };
  try {
    auto json = nlohmann::json::parse(run.read(config_name));
    fixed("seed", flags.seed, json.at("seed").get<uint64_t>());
    fixed("math", flags.math, json.at("math").get<std::string>());
    free("data", flags.data, json.at("data").get<std::string>());
    if (!flags.given.count("steps"))
      free("epochs", flags.epochs, json.at("epochs").get<double>());
    if (!flags.given.count("epochs"))
      free("steps", flags.steps, json.at("steps").get<int64_t>());
    free("checkpoint-every", flags.checkpoint_every, json.at("checkpoint_every").get<int64_t>());
    free("validate", flags.validate, json.at("validate").get<bool>());
    free("batch", flags.batch, json.at("batch").get<int64_t>());
    free("threads", flags.threads, json.at("threads").get<int>());
    merge_devices(flags, json, run);
    free("memory-limit", flags.memory_limit, json.value("memory_limit", std::string()));
    free("precision", flags.precision,
         json.value("precision", std::string())); // see open_session()
  } catch (const nlohmann::json::exception& error) {
    user_error(fmt::format("`{}` is damaged: {}", run.file(config_name).string(), error.what()));
  }
}

void remove_leftovers(const RunDirectory& run) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(run.path()))
    for (const char* target :
         {config_name, "network.yaml", "metrics.csv", "curves.svg", strategy_file})
      if (is_temporary_of(entry.path().filename().string(), target))
        std::filesystem::remove(entry.path(), ignored);
  for (const char* folder : {next_plan, former_plan})
    std::filesystem::remove_all(run.file(folder), ignored);
}

void record(const TrainFlags& flags, const Origin& origin, const RunSetup& setup,
            const RunDirectory& run) {
  if (origin.source)
    run.write("network.yaml", origin.source->file.text);
  std::error_code ignored;
  if (setup.cut.empty())
    std::filesystem::remove(run.file(strategy_file), ignored);
  else
    run.write(strategy_file, setup.cut);
  run.write(config_name, config_text(flags, setup));
}

} // namespace netc::cli
