// `netc train NET --data SPEC`. Exits with 128 + the signal's number when Ctrl-C or SIGTERM stopped
// it: the checkpoint is written, but what a script does next must not take the run for done.

#include "ir/support/hash.h"
#include "runtime/devices.h"
#include "runtime/train/trainer.h"
#include "tools/driver/backend.h"
#include "tools/netc/ready_plan.h"

#include <cstdlib>
#include <iostream>

namespace netc::cli {

namespace {

struct Flags : CommonFlags {
  double epochs = 0;
  int64_t steps = 0;
  int64_t checkpoint_every = 0;
  std::string run;
  bool resume = false;
  bool validate = false;
  std::set<std::string> given; ///< Long names of the flags on the command line.
};

constexpr const char* config_name = "config.json";

/// What the run was asked to do, kept in its folder: `--resume` needs no other flag.
std::string config_text(const Flags& flags) {
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
                                 {"device", flags.device},
                                 {"memory_limit", flags.memory_limit},
                                 {"precision", flags.precision}};
  return json.dump(2) + "\n";
}

/// Flags of a resumed run: what the command line does not say is as the run began. What would give
/// other numbers than the run had so far is refused.
void merge_config(Flags& flags, const RunDirectory& run) {
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
    free("device", flags.device, json.value("device", std::string()));
    free("memory-limit", flags.memory_limit, json.value("memory_limit", std::string()));
    free("precision", flags.precision, json.value("precision", std::string())); // see plan_of_run()
  } catch (const nlohmann::json::exception& error) {
    user_error(fmt::format("`{}` is damaged: {}", run.file(config_name).string(), error.what()));
  }
}

/// Fewer classes than outputs are only worth a remark.
void print_notes(const Dataset& dataset, const Recipe& recipe) {
  int64_t outputs = recipe.classes;
  for (const std::string& note : dataset.notes())
    std::cerr << "note: " << note << "\n";
  if (dataset.classes() < outputs)
    std::cerr << fmt::format("note: the data has {} classes, the network {} outputs; the others "
                             "stay unused\n",
                             dataset.classes(), outputs);
}

nlohmann::ordered_json to_json(const TrainResult& result, const Session& session,
                               const RunDirectory& run) {
  auto optional = [](const auto& value) {
    return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
  };
  nlohmann::ordered_json json;
  json["steps"] = result.steps;
  json["images_per_second"] = result.images_per_second > 0
                                  ? nlohmann::ordered_json(result.images_per_second)
                                  : nlohmann::ordered_json(nullptr);
  json["peak_bytes"] = session.peak_bytes();
  json["data_wait_fraction"] = result.data_wait_fraction;
  json["train_loss"] = optional(result.train_loss);
  std::optional<double> top1, top5;
  if (result.validation) {
    top1 = result.validation->top1;
    top5 = result.validation->top5;
  }
  json["val_top1"] = optional(top1);
  json["val_top5"] = optional(top5);
  json["damaged_images"] = result.damaged_images;
  json["run"] = run.path().string();
  return json;
}

RunDirectory open_run(const Flags& flags, const std::string& network) {
  if (flags.resume) {
    if (!flags.run.empty())
      return RunDirectory::resume(flags.run);
    if (auto latest = latest_run("runs", network))
      return RunDirectory::resume(*latest);
    user_error(fmt::format("there is no run of `{}` below `runs/` to resume", network),
               "`--run DIR` names one elsewhere; without `--resume` a new run starts");
  }
  return flags.run.empty() ? RunDirectory::create("runs", network)
                           : RunDirectory::create_at(flags.run);
}

/// What NET names: a description, or a finished plan, which needs no compiler.
struct Origin {
  Recipe recipe;
  std::string network_hash;
  std::optional<NetworkSource> source; ///< Of a description.
};

Origin origin_of(const Flags& flags) {
  if (is_plan_folder(flags.net)) {
    ReadyPlan ready(flags, true);
    return {ready.recipe(), ready.plan().network_hash, std::nullopt};
  }
  NetworkSource source = load(flags);
  return {source.network.recipe, content_hash(source.file.text), std::move(source)};
}

/// Compiles the network, or copies the finished plan, into the run.
Plan make_plan(const Flags& flags, const Origin& origin, const Target& target,
               const std::filesystem::path& folder) {
  if (!origin.source) {
    std::filesystem::path partial = folder.string() + ".partial"; // until the copy is whole
    std::error_code error;
    std::filesystem::remove_all(partial, error);
    std::filesystem::copy(flags.net, partial, std::filesystem::copy_options::recursive, error);
    if (!error)
      std::filesystem::rename(partial, folder, error);
    if (error)
      throw RuntimeError(fmt::format("copying the plan `{}` to `{}` failed: {}", flags.net,
                                     folder.string(), error.message()));
    return read_plan(folder);
  }
  if (!flags.quiet)
    std::cerr << "compiling " << origin.source->file.name << " ...\n";
  CompileOptions options = flags.compile_options();
  options.target = target;
  return compile_network(*origin.source, options, folder, std::cerr).plan;
}

/// Whether a resumed run has the plan it computes by.
bool has_plan(const Flags& flags, const RunDirectory& run) {
  return flags.resume && std::filesystem::exists(run.file("plan") / "plan.json");
}

/// The device of a run: the one asked for, the one it began with, or what its plan is for.
std::unique_ptr<Device> device_of_run(Flags& flags, const Origin& origin,
                                      const std::optional<RunDirectory>& run) {
  std::optional<Plan> plan;
  if (run && has_plan(flags, *run))
    plan = read_plan(run->file("plan"));
  else if (!origin.source)
    plan = read_plan(flags.net);
  std::unique_ptr<Device> device = choose_device(flags, plan ? &*plan : nullptr);
  if (run && plan)
    if (Target target = parse_target(plan->target); !device->runs(target))
      user_error(fmt::format("this run computes on `{}`, which `{}` does not run", plan->target,
                             device->name()),
                 fmt::format("resume with `--device {}`, or start a new run", device_for(target)));
  flags.device = device->name(); // a resumed run goes on there
  return device;
}

/// The plan of the run: stored in its folder, so that a resumed run computes the same bits.
Plan plan_of_run(const Flags& flags, const Origin& origin, const Target& target,
                 const RunDirectory& run) {
  std::filesystem::path folder = run.file("plan");
  if (has_plan(flags, run)) {
    Plan plan = read_plan(folder);
    if (plan.network_hash != origin.network_hash)
      user_error(
          fmt::format("`{}` was started with another text of `{}`", run.path().string(), flags.net),
          "restore the text (the run keeps it as network.yaml), or start a new run");
    if (flags.batch > 0 && flags.batch != plan.batch)
      user_error(fmt::format("`{}` was started with batch {}, not {}", run.path().string(),
                             plan.batch, flags.batch),
                 "leave out `--batch`, or start a new run");
    if (!flags.precision.empty() && flags.precision != plan.precision)
      user_error(fmt::format("`{}` was started with `--precision {}`, not {}", run.path().string(),
                             plan.precision, flags.precision),
                 "leave out `--precision`, or start a new run");
    if (flags.threads > plan.threads)
      user_error(fmt::format("`{}` was started with {} threads, not {}", run.path().string(),
                             plan.threads, flags.threads),
                 "leave out `--threads`, or start a new run");
    if (flags.threads > 0 && flags.threads < plan.threads && !plan.exact && !flags.quiet)
      std::cerr << fmt::format("note: the run was started with {} threads; with {} the last bits "
                               "of the results may differ (not with `--math exact`)\n",
                               plan.threads, flags.threads);
    return plan;
  }
  return make_plan(flags, origin, target, folder);
}

/// Removes what killed processes left of files they were writing; the run is ours alone.
void remove_leftovers(const RunDirectory& run) {
  for (const auto& entry : std::filesystem::directory_iterator(run.path()))
    for (const char* target : {config_name, "network.yaml", "metrics.csv", "curves.svg"})
      if (is_temporary_of(entry.path().filename().string(), target)) {
        std::error_code ignored;
        std::filesystem::remove(entry.path(), ignored);
      }
}

/// Keeps in the run what it computes.
void record(const Flags& flags, const Origin& origin, const RunDirectory& run) {
  if (origin.source)
    run.write("network.yaml", origin.source->file.text);
  run.write(config_name, config_text(flags));
}

/// The session of the run. Nothing stays of a new run that is refused here; of a resumed one
/// nothing changes until it goes on.
std::unique_ptr<Session> open_session(const Flags& flags, const Origin& origin,
                                      std::unique_ptr<Device> device, const RunDirectory& run) {
  try {
    if (!flags.resume)
      record(flags, origin, run); // before the plan: a run killed meanwhile can be resumed
    Plan plan = plan_of_run(flags, origin, compile_target(*device), run);
    auto session = std::make_unique<Session>(plan, run.file("plan"), std::move(device));
    if (flags.resume)
      record(flags, origin, run);
    return session;
  } catch (...) {
    if (!flags.resume)
      run.discard();
    throw;
  }
}

void report(const TrainResult& result, const Session& session, const RunDirectory& run,
            const Flags& flags) {
  if (flags.json)
    return print_json(to_json(result, session, run));
  if (result.signal)
    fmt::print("stopped at step {}; continue with: {}\n", result.steps,
               run.resume_command(flags.net));
  else
    fmt::print("trained {} steps{}\n", result.steps,
               result.finished_early ? " (the schedule has ended at a plateau)" : "");
  if (result.images_per_second > 0)
    fmt::print("{:.1f} images/s (batch / median step), peak memory {}, waited for images {:.1f} % "
               "of the time\n",
               result.images_per_second, megabytes(session.peak_bytes()),
               100 * result.data_wait_fraction);
  if (result.validation)
    fmt::print("validation: loss {:.4f}, top-1 {:.2f} %\n", result.validation->loss,
               100 * result.validation->top1);
  if (result.damaged_images > 0)
    fmt::print("{} damaged image{} skipped\n", result.damaged_images,
               result.damaged_images == 1 ? "" : "s");
  fmt::print("run folder: {}/ (checkpoints, metrics.csv, curves.svg)\n", run.path().string());
}

/// When the machine or netc fails, what it leaves behind is worth a word.
TrainResult train_or_explain(Session& session, const Dataset& dataset, const RunDirectory& run,
                             const TrainOptions& options, const Flags& flags) {
  try {
    return train(session, dataset, run, options);
  } catch (const RuntimeError& error) {
    std::vector<CheckpointFile> saved = list_checkpoints(run.path());
    if (saved.empty())
      throw;
    throw RuntimeError(error.what(),
                       fmt::format("{}{}the checkpoint of step {} stands; continue with: {}",
                                   error.hint(), error.hint().empty() ? "" : "; ",
                                   saved.back().step, run.resume_command(flags.net)));
  } catch (const InternalError& error) { // the emulator has found a fault
    std::vector<CheckpointFile> saved = list_checkpoints(run.path());
    if (saved.empty())
      throw;
    throw InternalError(
        fmt::format("{}\nnote: the checkpoint of step {} stands", error.what(), saved.back().step));
  }
}

/// The exit code.
int run(Flags flags) {
  const Origin origin = origin_of(flags);
  const Recipe& recipe = origin.recipe;
  if (recipe.classes == 0)
    user_error(fmt::format("the network `{}` has no loss to train on", recipe.name),
               "end its layers with `{name: loss, type: softmax_cross_entropy}`");
  if (!flags.given.count("seed"))
    flags.seed = recipe.train.seed;
  std::optional<RunDirectory> folder;
  if (flags.resume) {
    folder = open_run(flags, recipe.name);
    remove_leftovers(*folder);
    merge_config(flags, *folder);
  }
  if (flags.data.empty())
    user_error("`--data` is missing", "for instance `--data mnist:DIR` or `--data shapes`; "
                                      "`netc train --help` lists the kinds");
  std::unique_ptr<Dataset> dataset = open_dataset(flags.data, stored_format(recipe.input));
  check_classes(*dataset, recipe);
  if (!flags.quiet)
    print_notes(*dataset, recipe);
  std::unique_ptr<Device> device = device_of_run(flags, origin, folder);
  if (!folder)
    folder = open_run(flags, recipe.name);
  std::unique_ptr<Session> session = open_session(flags, origin, std::move(device), *folder);
  announce(flags, *session);
  TrainOptions options{.epochs = flags.epochs,
                       .steps = flags.steps,
                       .seed = flags.seed,
                       .checkpoint_every = flags.checkpoint_every,
                       .validate_at_end = flags.validate,
                       .workers = flags.workers,
                       .log_every = 0,
                       .quiet = flags.quiet};
  TrainResult result = train_or_explain(*session, *dataset, *folder, options, flags);
  report(result, *session, *folder, flags);
  return result.signal ? 128 + result.signal : 0;
}

} // namespace

void add_train(CLI::App& app, std::function<void()>& command) {
  auto flags = std::make_shared<Flags>();
  CLI::App* sub = app.add_subcommand("train", "train a network");
  flags->add_net(*sub);
  flags->add_data(*sub, false); // checked in run(): a resumed run knows its data
  flags->add_compile(*sub);
  flags->add_device(*sub);
  flags->add_memory_limit(*sub);
  flags->add_output(*sub);
  CLI::Option* epochs =
      sub->add_option("--epochs", flags->epochs, "passes over the data (default: the network's)")
          ->check(positive());
  sub->add_option("--steps", flags->steps, "updates, instead of epochs")
      ->check(positive())
      ->excludes(epochs);
  sub->add_option("--seed", flags->seed, "of weights, order, augmentation");
  sub->add_option("--checkpoint-every", flags->checkpoint_every,
                  "steps between checkpoints (default: an epoch, 100 at least)")
      ->check(positive());
  sub->add_option("--run", flags->run, "run folder (default: runs/NET-N)");
  sub->add_flag("--resume", flags->resume,
                "continue --run, or the latest run of the network, with the flags it began with");
  sub->add_flag("--validate", flags->validate, "with --steps: validate at the end");
  sub->callback([flags, sub, &command] {
    for (const CLI::Option* option : sub->get_options())
      if (option->count() > 0 && !option->get_lnames().empty())
        flags->given.insert(option->get_lnames().front());
    command = [flags] {
      if (int code = run(*flags))
        std::exit(code);
    };
  });
}

} // namespace netc::cli
