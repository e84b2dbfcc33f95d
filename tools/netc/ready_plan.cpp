#include "tools/netc/ready_plan.h"

namespace netc::cli {

bool is_plan_folder(const std::string& net) {
  std::error_code ignored;
  return std::filesystem::exists(std::filesystem::path(net) / "plan.json", ignored);
}

namespace {

/// What is fixed in a finished plan cannot be asked of it.
void check_fits(const Plan& plan, const CommonFlags& flags, bool train) {
  auto refuse = [&](const std::string& what) {
    user_error(fmt::format("the plan `{}` {}", flags.net, what), "compile the network again");
  };
  if (flags.batch > 0 && flags.batch != plan.batch)
    refuse(fmt::format("is for batches of {}, not {}", plan.batch, flags.batch));
  if (flags.math == "exact" && !plan.exact)
    refuse("was not compiled with `--math exact`");
  if (flags.threads > plan.threads)
    refuse(fmt::format("is for at most {} threads, not {}", plan.threads, flags.threads));
  if (train && !plan.find_program("train"))
    refuse("has no training step");
}

} // namespace

ReadyPlan::ReadyPlan(const CommonFlags& flags, bool train, int64_t batch) {
  if (is_plan_folder(flags.net)) {
    folder_ = flags.net;
    plan_ = read_plan(folder_);
    check_fits(plan_, flags, train);
    return;
  }
  NetworkSource source = load(flags);
  if (train && source.network.recipe.classes == 0)
    user_error(fmt::format("the network `{}` has no loss to train on", source.network.recipe.name),
               "end its layers with `{name: loss, type: softmax_cross_entropy}`");
  CompileOptions options = flags.compile_options();
  options.train = train;
  if (options.batch == 0)
    options.batch = batch;
  temporary_.emplace(source, options);
  plan_ = temporary_->compiled().plan;
  folder_ = temporary_->compiled().folder;
}

} // namespace netc::cli
