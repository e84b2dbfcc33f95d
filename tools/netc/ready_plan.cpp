#include "tools/netc/ready_plan.h"

#include "codegen/nvrtc.h"
#include "runtime/byte_text.h"
#include "runtime/devices.h"
#include "tools/driver/backend.h"

#include <fmt/ranges.h>

#include <iostream>

namespace netc::cli {

bool is_plan_folder(const std::string& net) {
  std::error_code ignored;
  return std::filesystem::exists(std::filesystem::path(net) / "plan.json", ignored);
}

namespace {

/// The default device of a network that is yet to be compiled: a GPU only where NVRTC is.
std::string compiling_device(const CommonFlags& flags) {
  std::string name = default_device();
  if (name == "cpu:0" || NvrtcToolchain().available())
    return name;
  if (!flags.quiet)
    std::cerr << fmt::format("note: `{}` is left alone: there is no NVRTC to compile for it\n",
                             name);
  return "cpu:0";
}

} // namespace

std::unique_ptr<Device> choose_device(const CommonFlags& flags, const Plan* plan) {
  std::string name = !flags.device.empty() ? flags.device
                     : plan                ? device_for(parse_target(plan->target))
                                           : compiling_device(flags);
  return open_device({.name = name,
                      .threads = flags.threads,
                      .memory_limit = parse_bytes(flags.memory_limit).value_or(0)});
}

std::string precisions_of(const Plan& plan) {
  std::set<std::string> precisions;
  for (const PlanKernel& kernel : plan.kernels)
    if (!kernel.precision.empty())
      precisions.insert(kernel.precision);
  if (precisions.empty())
    precisions.insert(std::string(to_string(Precision::fp32)));
  std::string text = fmt::format("{}", fmt::join(precisions, ", "));
  return text == "tf32" ? "tf32 (`--precision fp32` for f32)" : text;
}

void announce(const CommonFlags& flags, Session& session) {
  if (flags.quiet)
    return;
  std::string names;
  for (int i = 0; i < session.device_count(); ++i)
    names += (i ? ", " : "") + session.device(i).name();
  std::cerr << fmt::format("runs on {} ({}) in {}\n", names, session.device().description(),
                           precisions_of(session.plan()));
  for (const std::string& note : session.notes())
    std::cerr << "note: " << note << "\n";
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
  if (!flags.precision.empty() && flags.precision != plan.precision)
    refuse(
        fmt::format("was compiled with `--precision {}`, not {}", plan.precision, flags.precision));
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
    device_ = choose_device(flags, &plan_);
    check_fits(plan_, flags, train);
    return;
  }
  NetworkSource source = load(flags);
  if (train && source.network.recipe.classes == 0)
    user_error(fmt::format("the network `{}` has no loss to train on", source.network.recipe.name),
               "end its layers with `{name: loss, type: softmax_cross_entropy}`");
  device_ = choose_device(flags, nullptr);
  CompileOptions options = flags.compile_options();
  options.target = compile_target(*device_);
  options.train = train;
  if (options.batch == 0)
    options.batch = batch;
  temporary_.emplace(source, options);
  plan_ = temporary_->compiled().plan;
  folder_ = temporary_->compiled().folder;
}

std::unique_ptr<Session> ReadyPlan::make_session(const CommonFlags& flags) {
  auto session = std::make_unique<Session>(plan_, folder_, std::move(device_));
  announce(flags, *session);
  return session;
}

} // namespace netc::cli
