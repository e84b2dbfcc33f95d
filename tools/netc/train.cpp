// `netc train NET --data SPEC`.

#include "ir/support/hash.h"
#include "runtime/train/trainer.h"
#include "tools/netc/command.h"

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
  bool seed_given = false;
};

/// Labels must fit the network's outputs; fewer classes are only worth a remark.
void check_classes(const Dataset& dataset, const NetworkSource& source, bool quiet) {
  int64_t outputs = source.network.recipe.classes;
  if (dataset.classes() > outputs)
    user_error(fmt::format("the data has {} classes, the network `{}` tells {} apart",
                           dataset.classes(), source.network.recipe.name, outputs),
               "change `features` of its last layer, or use other data");
  if (quiet)
    return;
  for (const std::string& note : dataset.notes())
    std::cerr << "note: " << note << "\n";
  if (dataset.classes() < outputs)
    std::cerr << fmt::format("note: the data has {} classes, the network {} outputs; the others "
                             "stay unused\n",
                             dataset.classes(), outputs);
}

nlohmann::ordered_json to_json(const TrainResult& result, const RunDirectory& run) {
  auto optional = [](const auto& value) {
    return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
  };
  nlohmann::ordered_json json;
  json["steps"] = result.steps;
  json["images_per_second"] = result.images_per_second > 0
                                  ? nlohmann::ordered_json(result.images_per_second)
                                  : nlohmann::ordered_json(nullptr);
  json["peak_bytes"] = peak_resident_bytes();
  json["data_wait_fraction"] = result.data_wait_fraction;
  json["train_loss"] = optional(result.train_loss);
  std::optional<double> top1, top5;
  if (result.validation) {
    top1 = result.validation->top1;
    top5 = result.validation->top5;
  }
  json["val_top1"] = optional(top1);
  json["val_top5"] = optional(top5);
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
               "`--run DIR` names one elsewhere");
  }
  return flags.run.empty() ? RunDirectory::create("runs", network)
                           : RunDirectory::create_at(flags.run);
}

/// The plan of the run: stored in its folder, so that a resumed run computes the same bits.
Plan plan_of_run(const Flags& flags, const NetworkSource& source, const RunDirectory& run) {
  std::filesystem::path folder = run.file("plan");
  if (flags.resume && std::filesystem::exists(folder / "plan.json")) {
    Plan plan = read_plan(folder);
    if (plan.network_hash != content_hash(source.file.text))
      user_error(fmt::format("`{}` was started with another text of `{}`", run.path().string(),
                             source.file.name),
                 "restore the text (the run keeps it as network.yaml), or start a new run");
    if (flags.batch > 0 && flags.batch != plan.batch)
      user_error(fmt::format("`{}` was started with batch {}, not {}", run.path().string(),
                             plan.batch, flags.batch));
    return plan;
  }
  if (!flags.quiet)
    std::cerr << "compiling " << source.file.name << " ...\n";
  Compiled compiled = compile_network(source, flags.compile_options(), folder, std::cerr);
  run.write("network.yaml", source.file.text);
  return compiled.plan;
}

void report(const TrainResult& result, const RunDirectory& run, const Flags& flags) {
  if (flags.json)
    return print_json(to_json(result, run));
  if (result.interrupted)
    fmt::print("stopped at step {}; continue with: {}\n", result.steps,
               run.resume_command(flags.net));
  else
    fmt::print("trained {} steps{}\n", result.steps,
               result.finished_early ? " (the schedule has ended at a plateau)" : "");
  if (result.images_per_second > 0)
    fmt::print("{:.1f} images/s (batch / median step), peak memory {}, waited for images {:.1f} % "
               "of the time\n",
               result.images_per_second, megabytes(peak_resident_bytes()),
               100 * result.data_wait_fraction);
  if (result.validation)
    fmt::print("validation: loss {:.4f}, top-1 {:.2f} %\n", result.validation->loss,
               100 * result.validation->top1);
  fmt::print("run folder: {}/ (checkpoints, metrics.csv, curves.svg)\n", run.path().string());
}

void run(const Flags& flags) {
  NetworkSource source = load(flags);
  const Recipe& recipe = source.network.recipe;
  if (recipe.classes == 0)
    user_error(fmt::format("the network `{}` has no loss to train on", recipe.name),
               "end its layers with `{name: loss, type: softmax_cross_entropy}`");
  std::unique_ptr<Dataset> dataset = open_dataset(flags.data, stored_format(recipe.input));
  check_classes(*dataset, source, flags.quiet);
  RunDirectory folder = open_run(flags, recipe.name);
  Plan plan = plan_of_run(flags, source, folder);
  Session session(plan, folder.file("plan"), flags.threads);
  TrainOptions options{.epochs = flags.epochs,
                       .steps = flags.steps,
                       .seed = flags.seed_given ? flags.seed : recipe.train.seed,
                       .checkpoint_every = flags.checkpoint_every,
                       .validate_at_end = flags.validate,
                       .workers = flags.workers,
                       .log_every = 0,
                       .quiet = flags.quiet};
  report(train(session, *dataset, folder, options), folder, flags);
}

} // namespace

void add_train(CLI::App& app, std::function<void()>& command) {
  auto flags = std::make_shared<Flags>();
  CLI::App* sub = app.add_subcommand("train", "train a network");
  flags->add_net(*sub);
  flags->add_data(*sub, true);
  flags->add_compile(*sub);
  flags->add_output(*sub);
  CLI::Option* epochs =
      sub->add_option("--epochs", flags->epochs, "passes over the data (default: the network's)")
          ->check(CLI::PositiveNumber);
  sub->add_option("--steps", flags->steps, "updates, instead of epochs")
      ->check(CLI::PositiveNumber)
      ->excludes(epochs);
  CLI::Option* seed = sub->add_option("--seed", flags->seed, "of weights, order, augmentation");
  sub->add_option("--checkpoint-every", flags->checkpoint_every,
                  "steps between checkpoints (default: an epoch)")
      ->check(CLI::PositiveNumber);
  sub->add_option("--run", flags->run, "run folder (default: runs/NET-N)");
  sub->add_flag("--resume", flags->resume, "continue --run, or the latest run of the network");
  sub->add_flag("--validate", flags->validate, "with --steps: validate at the end");
  sub->callback([flags, seed, &command] {
    flags->seed_given = seed->count() > 0;
    command = [flags] { run(*flags); };
  });
}

} // namespace netc::cli
