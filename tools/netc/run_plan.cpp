// The plan of a training run: compiled, copied, reused, or compiled anew.

#include "ir/support/files.h"
#include "ir/support/hash.h"
#include "runtime/atomic_file.h"
#include "tools/driver/backend.h"
#include "tools/driver/strategy.h"
#include "tools/netc/ready_plan.h"
#include "tools/netc/training_run.h"

#include <fmt/ranges.h>

#include <iostream>

namespace netc::cli {

namespace fs = std::filesystem;

Origin origin_of(const TrainFlags& flags) {
  if (is_plan_folder(flags.net)) {
    ReadyPlan ready(flags, true);
    return {ready.recipe(), ready.plan().network_hash, std::nullopt};
  }
  NetworkSource source = load(flags);
  return {source.network.recipe, content_hash(source.file.text), std::move(source)};
}

namespace {

/// Whether a resumed run has the plan it computes by.
bool has_plan(const RunDirectory* run) {
  return run && fs::exists(run->file("plan") / "plan.json");
}

/// A run stays with the kind of device that it began on.
void check_target_of_run(const Plan& stored, const Devices& devices) {
  const Target target = parse_target(stored.target);
  for (const auto& device : devices)
    if (!device->runs(target))
      user_error(fmt::format("this run computes on `{}`, which `{}` does not run", stored.target,
                             device->name()),
                 fmt::format("resume with `{} {}`, or start a new run",
                             stored.devices == 1 ? "--device" : "--devices",
                             fmt::join(devices_for(stored), ",")));
}

/// How the step of a described network is cut: as the run keeps it, or as a new run would be cut.
/// `stored`: the plan that a resumed run has, whose batch stays.
std::optional<Strategy> strategy_of_run(const TrainFlags& flags, const Network& network,
                                        int devices, const RunDirectory* run,
                                        const std::optional<Plan>& stored) {
  const int64_t batch = stored ? stored->batch : flags.batch;
  if (flags.kept_strategy.empty())
    return choose_strategy(flags, network, devices, batch);
  Strategy strategy = resolve_strategy(run->file(strategy_file).string(), network, devices, batch);
  strategy.name = flags.kept_strategy;
  return strategy;
}

/// `2 devices, cut by `data``.
std::string setting(size_t devices, const std::string& strategy) {
  return devices == 1 ? "one device" : fmt::format("{} devices, cut by `{}`", devices, strategy);
}

} // namespace

RunSetup set_up(TrainFlags& flags, const Origin& origin, const RunDirectory* run) {
  RunSetup setup;
  const fs::path folder = has_plan(run) ? run->file("plan") : fs::path(flags.net);
  if (has_plan(run) || !origin.source)
    setup.stored = read_plan(folder);
  const size_t named = named_devices(flags).size();
  const bool as_many =
      setup.stored && (named == 0 || static_cast<int>(named) == setup.stored->devices);
  setup.devices = choose_devices(flags, as_many ? &*setup.stored : nullptr);
  if (run && setup.stored)
    check_target_of_run(*setup.stored, setup.devices);
  else if (setup.stored)
    for (const auto& device : setup.devices)
      check_target(*setup.stored, folder, *device);
  flags.devices = names_of(setup.devices);
  flags.device.clear();
  const int count = static_cast<int>(setup.devices.size());
  if (origin.source)
    setup.strategy = strategy_of_run(flags, origin.source->network, count, run, setup.stored);
  else if (!as_many)
    user_error(
        fmt::format("`{}` goes by a plan for {}, not for {}", run->path().string(),
                    setting(static_cast<size_t>(setup.stored->devices), strategy_of(*setup.stored)),
                    count),
        "to have the step cut anew, name the network's description instead of the plan");
  const std::string stored_cut = setup.stored ? read_text(folder / strategy_file).value_or("") : "";
  setup.cut = setup.strategy ? print(*setup.strategy) : origin.source ? "" : stored_cut;
  setup.cut_name = setup.strategy  ? setup.strategy->name
                   : origin.source ? "single"
                                   : strategy_of(*setup.stored);
  setup.anew = has_plan(run) && (!as_many || setup.cut != stored_cut);
  return setup;
}

namespace {

/// What cannot change while a run goes on, however its step is cut.
void check_stored(const TrainFlags& flags, const Origin& origin, const Plan& plan,
                  const RunDirectory& run) {
  const std::string name = run.path().string();
  if (plan.network_hash != origin.network_hash)
    user_error(fmt::format("`{}` was started with another text of `{}`", name, flags.net),
               "restore the text (the run keeps it as network.yaml), or start a new run");
  if (flags.batch > 0 && flags.batch != plan.batch)
    user_error(fmt::format("`{}` was started with batch {}, not {}", name, plan.batch, flags.batch),
               "leave out `--batch`, or start a new run");
  if (!flags.precision.empty() && flags.precision != plan.precision)
    user_error(fmt::format("`{}` was started with `--precision {}`, not {}", name, plan.precision,
                           flags.precision),
               "leave out `--precision`, or start a new run");
}

void check_threads(const TrainFlags& flags, const Plan& plan, const RunDirectory& run) {
  if (flags.threads == 0)
    return;
  const int each = threads_per_device(flags.threads, plan.devices);
  const int all = plan.threads * plan.devices;
  if (each > plan.threads)
    user_error(fmt::format("`{}` was started with {} threads, not {}", run.path().string(), all,
                           flags.threads),
               "leave out `--threads`, or start a new run");
  if (each < plan.threads && !plan.exact && !flags.quiet)
    std::cerr << fmt::format("note: the run was started with {} threads; with {} the last bits "
                             "of the results may differ (not with `--math exact`)\n",
                             all, flags.threads);
}

/// Copies the finished plan into the run.
Plan copy_plan(const std::string& from, const fs::path& folder) {
  fs::path partial = folder.string() + ".partial"; // until the copy is whole
  std::error_code error;
  fs::remove_all(partial, error);
  fs::copy(from, partial, fs::copy_options::recursive, error);
  if (!error)
    fs::rename(partial, folder, error);
  if (error)
    throw RuntimeError(fmt::format("copying the plan `{}` to `{}` failed: {}", from,
                                   folder.string(), error.message()));
  return read_plan(folder);
}

Plan compile_plan(const TrainFlags& flags, const Origin& origin, const RunSetup& setup,
                  const fs::path& folder) {
  if (!flags.quiet)
    std::cerr << "compiling " << origin.source->file.name << " ...\n";
  CompileOptions options = flags.compile_options();
  options.target = compile_target(*setup.devices.front());
  options.strategy = setup.strategy;
  if (setup.anew) { // as the run computes, which may have begun with a finished plan
    options.target = parse_target(setup.stored->target);
    options.batch = setup.stored->batch;
    options.precision = parse_precision(setup.stored->precision);
  }
  return compile_network(*origin.source, options, folder, std::cerr).plan;
}

/// Exact sums are trees over blocks, whole ones of which a device has where cuts fall on their
/// borders; so many devices divide the trees as one does.
bool keeps_bits(size_t devices) {
  return devices == 1 || devices == 2 || devices == 4 || devices == 8;
}

void tell_anew(const RunSetup& setup) {
  const Plan& before = *setup.stored;
  const bool exact = before.exact && keeps_bits(static_cast<size_t>(before.devices)) &&
                     keeps_bits(setup.devices.size());
  std::cerr << fmt::format(
      "note: the run went on {}; from here on it goes on {}\nnote: {}\n",
      setting(static_cast<size_t>(before.devices), strategy_of(before)),
      setting(setup.devices.size(), setup.cut_name),
      exact
          ? "results are the same bits where cuts fall on block borders"
          : "the last bits of results may differ from here on (`--math exact` keeps them on 1, 2, "
            "4 or 8 devices)");
}

Plan plan_of_run(const TrainFlags& flags, const Origin& origin, const RunSetup& setup,
                 const RunDirectory& run) {
  const bool has_one = flags.resume && has_plan(&run);
  if (has_one)
    check_stored(flags, origin, *setup.stored, run);
  if (setup.anew) {
    if (!flags.quiet)
      tell_anew(setup);
    return compile_plan(flags, origin, setup, run.file(next_plan));
  }
  if (has_one) {
    check_threads(flags, *setup.stored, run);
    return *setup.stored;
  }
  return origin.source ? compile_plan(flags, origin, setup, run.file("plan"))
                       : copy_plan(flags.net, run.file("plan"));
}

} // namespace

std::unique_ptr<Session> open_session(const TrainFlags& flags, const Origin& origin, RunSetup setup,
                                      const RunDirectory& run) {
  try {
    if (!flags.resume)
      record(flags, origin, setup, run); // before the plan: a run killed meanwhile can be resumed
    Plan plan = plan_of_run(flags, origin, setup, run);
    auto session = std::make_unique<Session>(plan, run.file(setup.anew ? next_plan : "plan"),
                                             std::move(setup.devices));
    if (setup.anew)
      replace_folder(run.file(next_plan), run.file("plan"), run.file(former_plan));
    if (flags.resume)
      record(flags, origin, setup, run);
    return session;
  } catch (...) {
    std::error_code ignored;
    if (flags.resume)
      fs::remove_all(run.file(next_plan), ignored);
    else
      run.discard();
    throw;
  }
}

} // namespace netc::cli
