// `netc train NET --data SPEC`. Exits with 128 + the signal's number when Ctrl-C or SIGTERM stopped
// it: the checkpoint is written, but what a script does next must not take the run for done.

#include "runtime/train/trainer.h"
#include "tools/netc/training_run.h"

#include <cstdlib>
#include <iostream>

namespace netc::cli {

namespace {

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

nlohmann::ordered_json to_json(const TrainResult& result, Session& session,
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
  json["devices"] = device_names(session);
  json["strategy"] = strategy_of(session.plan());
  json["precision"] = session.plan().precision;
  return json;
}

RunDirectory open_run(const TrainFlags& flags, const std::string& network) {
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

void report(const TrainResult& result, Session& session, const RunDirectory& run,
            const TrainFlags& flags) {
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
                             const TrainOptions& options, const TrainFlags& flags) {
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
int run(TrainFlags flags) {
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
  RunSetup setup = set_up(flags, origin, folder ? &*folder : nullptr);
  if (!folder)
    folder = open_run(flags, recipe.name);
  std::unique_ptr<Session> session = open_session(flags, origin, std::move(setup), *folder);
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
  auto flags = std::make_shared<TrainFlags>();
  CLI::App* sub = app.add_subcommand("train", "train a network");
  flags->add_net(*sub);
  flags->add_data(*sub, false); // checked in run(): a resumed run knows its data
  flags->add_compile(*sub);
  flags->add_devices(*sub);
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
