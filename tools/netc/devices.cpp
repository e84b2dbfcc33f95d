#include "tools/netc/devices.h"

#include "codegen/nvrtc.h"
#include "runtime/byte_text.h"
#include "runtime/devices.h"
#include "tools/driver/backend.h"
#include "tools/driver/strategy.h"
#include "tools/partition/calibrate.h"
#include "tools/partition/laboratory.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <iostream>

namespace netc::cli {

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

/// Code for the first device is code for all of them.
void check_kinds(const Devices& devices) {
  const Device& first = *devices.front();
  for (const auto& device : devices)
    if (Target target = compile_target(first); !device->runs(target))
      user_error(fmt::format("`{}` and `{}` cannot share a step: `{}` runs `{}`, not `{}`",
                             first.name(), device->name(), device->name(), device->target().str(),
                             target.str()),
                 "`--devices` takes devices of one kind");
}

} // namespace

std::vector<std::string> named_devices(const CommonFlags& flags) {
  if (flags.device.find(',') != std::string::npos)
    user_error(fmt::format("`--device {}` names several devices", flags.device),
               fmt::format("`--devices {}` does that", flags.device));
  const std::string& list = flags.devices.empty() ? flags.device : flags.devices;
  std::vector<std::string> names;
  for (size_t begin = 0; !list.empty() && begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    names.push_back(list.substr(begin, end - begin));
    if (names.back().empty())
      user_error(fmt::format("`--devices {}` has a comma without a name beside it", list),
                 "names stand between commas, as in `--devices cpu:0,cpu:1`");
    begin = end + 1;
  }
  if (names.size() > most_devices)
    user_error(fmt::format("{} devices are too many", names.size()),
               fmt::format("a step may be cut over {} at most", most_devices));
  return names;
}

std::vector<std::string> devices_for(const Plan& plan) {
  const std::string first = device_for(parse_target(plan.target));
  const std::string kind = first.substr(0, first.find(':'));
  std::vector<std::string> names;
  for (int i = 0; i < plan.devices; ++i)
    names.push_back(fmt::format("{}:{}", kind, i));
  return names;
}

std::string names_of(const Devices& devices) {
  std::vector<std::string> names;
  for (const auto& device : devices)
    names.push_back(device->name());
  return fmt::format("{}", fmt::join(names, ","));
}

Devices choose_devices(const CommonFlags& flags, const Plan* plan) {
  std::vector<std::string> names = named_devices(flags);
  if (names.empty())
    names = plan ? devices_for(*plan) : std::vector{compiling_device(flags)};
  const int count = static_cast<int>(names.size());
  const int threads = threads_per_device(flags.threads, count);
  std::vector<DeviceSpec> specs;
  for (const std::string& name : names)
    specs.push_back({.name = name,
                     .threads = flags.threads > 0 ? threads : 0,
                     .memory_limit = parse_bytes(flags.memory_limit).value_or(0)});
  Devices devices;
  for (const DeviceSpec& spec : share_cores(std::move(specs), plan ? plan->threads : threads))
    devices.push_back(open_device(spec));
  if (!plan)
    check_kinds(devices);
  return devices;
}

CalibrateOptions calibrate_options(const CommonFlags& flags,
                                   const std::vector<std::string>& devices) {
  CalibrateOptions options{.devices = {},
                           .threads = flags.threads,
                           .exact = flags.math == "exact",
                           .cache = flags.cache};
  for (const std::string& name : devices)
    options.devices.push_back({.name = name});
  return options;
}

Calibration calibration_of_devices(const CommonFlags& flags,
                                   const std::vector<std::string>& devices) {
  return this_machine(calibrate_options(flags, devices), [&] {
    if (!flags.quiet)
      std::cerr << "measuring this machine (once; `netc calibrate` does it again) ...\n";
  });
}

namespace {

/// What the search finds for the devices that flags name.
Strategy search_strategy(const CommonFlags& flags, const Network& network, int devices,
                         int64_t batch) {
  std::vector<std::string> names = named_devices(flags);
  for (int d = static_cast<int>(names.size()); d < devices; ++d)
    names.push_back(fmt::format("cpu:{}", d));
  Calibration calibration = calibration_of_devices(flags, names);
  LaboratoryOptions laboratory;
  laboratory.calibration = &calibration;
  laboratory.memory_limit = parse_bytes(flags.memory_limit).value_or(0);
  for (const std::string& name : names)
    laboratory.devices.push_back({.name = name});
  CompileOptions options = flags.compile_options();
  options.batch = batch;
  options.target = compile_target(*open_device({.name = names[0]}));
  return find_strategy(network, options, laboratory).strategy;
}

} // namespace

std::optional<Strategy> choose_strategy(const CommonFlags& flags, const Network& network,
                                        int devices, int64_t batch) {
  if (devices == 1 && !flags.partition.empty() && flags.partition != "single")
    user_error(fmt::format("`--partition {}` cuts a step over several devices, and there is one",
                           flags.partition),
               "`--devices` names them, as in `--devices cpu:0,cpu:1`");
  if (devices == 1)
    return std::nullopt;
  if (flags.partition == found_strategy)
    return search_strategy(flags, network, devices, batch);
  if (!flags.partition.empty())
    return resolve_strategy(flags.partition, network, devices, batch);
  Strategy strategy = default_strategy(network, devices, batch);
  if (!flags.quiet)
    std::cerr << fmt::format("note: the step is cut by `{}`{}; `--partition` names another "
                             "strategy\n",
                             strategy.name,
                             network.partition.devices == devices &&
                                     network.partition.strategy == strategy.name
                                 ? ", as the network says"
                                 : "");
  return strategy;
}

std::string strategy_of(const Plan& plan) {
  return plan.strategy.empty() ? "single" : plan.strategy;
}

std::vector<std::string> device_names(Session& session) {
  std::vector<std::string> names;
  for (int i = 0; i < session.device_count(); ++i)
    names.push_back(session.device(i).name());
  return names;
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
  const std::vector<std::string> names = device_names(session);
  std::cerr << fmt::format("runs on {} ({}) in {}", fmt::join(names, ", "),
                           session.device().description(), precisions_of(session.plan()));
  if (names.size() > 1)
    std::cerr << fmt::format(", cut by `{}`", strategy_of(session.plan()));
  std::cerr << "\n";
  for (const std::string& name : std::set<std::string>(names.begin(), names.end()))
    if (auto count = std::count(names.begin(), names.end(), name); count > 1)
      std::cerr << fmt::format("note: {} logical devices share `{}`\n", count, name);
  for (const std::string& note : session.notes())
    std::cerr << "note: " << note << "\n";
}

} // namespace netc::cli
