#include "tools/netc/ready_plan.h"

#include "tools/driver/backend.h"

#include <iostream>

namespace netc::cli {

bool is_plan_folder(const std::string& net) {
  std::error_code ignored;
  return std::filesystem::exists(std::filesystem::path(net) / "plan.json", ignored);
}

namespace {

/// What is fixed in a finished plan cannot be asked of it.
void check_fits(const Plan& plan, const CommonFlags& flags, bool train) {
  auto refuse = [&](const char* flag, const std::string& what) {
    user_error(fmt::format("the plan `{}` {}", flags.net, what),
               fmt::format("leave out `{}`, or compile the network again", flag));
  };
  if (size_t named = named_devices(flags).size();
      named > 0 && static_cast<int>(named) != plan.devices)
    refuse(flags.devices.empty() ? "--device" : "--devices",
           fmt::format("is for {} device{}, not for {}", plan.devices, plan.devices == 1 ? "" : "s",
                       named));
  if (!flags.partition.empty() && flags.partition != strategy_of(plan))
    refuse("--partition", fmt::format("is cut by the strategy `{}`, not by `{}`", strategy_of(plan),
                                      flags.partition));
  if (flags.batch > 0 && flags.batch != plan.batch)
    refuse("--batch", fmt::format("is for batches of {}, not {}", plan.batch, flags.batch));
  if (flags.math == "exact" && !plan.exact)
    refuse("--math", "was not compiled with `--math exact`");
  if (!flags.precision.empty() && flags.precision != plan.precision)
    refuse("--precision", fmt::format("was compiled with `--precision {}`, not {}", plan.precision,
                                      flags.precision));
  if (flags.threads > 0 && threads_per_device(flags.threads, plan.devices) > plan.threads)
    refuse("--threads", fmt::format("is for at most {} threads, not {}",
                                    plan.threads * plan.devices, flags.threads));
  if (train && !plan.find_program("train"))
    user_error(fmt::format("the plan `{}` has no training step", flags.net),
               "compile the network again");
}

} // namespace

ReadyPlan::ReadyPlan(const CommonFlags& flags, bool train, int64_t batch) {
  if (is_plan_folder(flags.net)) {
    folder_ = flags.net;
    plan_ = read_plan(folder_);
    check_fits(plan_, flags, train);
    devices_ = choose_devices(flags, &plan_);
    return;
  }
  NetworkSource source = load(flags);
  if (train && source.network.recipe.classes == 0)
    user_error(fmt::format("the network `{}` has no loss to train on", source.network.recipe.name),
               "end its layers with `{name: loss, type: softmax_cross_entropy}`");
  devices_ = choose_devices(flags, nullptr);
  CompileOptions options = flags.compile_options();
  options.target = compile_target(*devices_.front());
  options.train = train;
  if (options.batch == 0)
    options.batch = batch;
  options.strategy =
      choose_strategy(flags, source.network, static_cast<int>(devices_.size()), options.batch);
  temporary_.emplace(source, options);
  plan_ = temporary_->compiled().plan;
  folder_ = temporary_->compiled().folder;
}

std::unique_ptr<Session> ReadyPlan::make_session(const CommonFlags& flags) {
  auto session = std::make_unique<Session>(plan_, folder_, std::move(devices_));
  announce(flags, *session);
  return session;
}

} // namespace netc::cli
