// `netc calibrate`: what predictions of times need to know of this machine, measured.

#include "ir/support/files.h"
#include "passes/partition/strategies.h"
#include "runtime/devices.h"
#include "tools/driver/backend.h"
#include "tools/driver/strategy.h"
#include "tools/netc/devices.h"
#include "tools/partition/step_times.h"
#include "tools/partition/strategy_times.h"

#include <algorithm>
#include <iostream>

namespace netc::cli {

namespace {

constexpr const char* unsuited = "does not suit this network";

struct Flags : CommonFlags {
  std::vector<std::string> strategies;
  std::string output;
  double seconds = 10;
};

void say(const Flags& flags, const std::string& what) {
  if (!flags.quiet)
    std::cerr << what << "\n";
}

/// A network and the strategies under which its step is measured.
struct Work {
  NetworkSource source;
  std::vector<Strategy> strategies;
  bool all = false; ///< Of the named ones that suit the network.
};

/// The strategies that the user lists, or all. Mistakes show before anything is measured.
Work work_of(const Flags& flags, int devices) {
  const std::vector<std::string>& listed = flags.strategies;
  Work work{load(flags), {}};
  work.all = listed.empty() || std::find(listed.begin(), listed.end(), "all") != listed.end();
  for (const std::string& name : work.all ? strategy_names() : listed)
    try {
      work.strategies.push_back(resolve_strategy(name, work.source.network, devices, flags.batch));
    } catch (const UserError&) {
      if (!work.all)
        throw;
      say(flags, fmt::format("{}: {}", name, unsuited));
    }
  return work;
}

void measure_steps(const Flags& flags, const CalibrateOptions& options, const Work& work,
                   Calibration& calibration) {
  StepsToMeasure steps{work.source, flags.compile_options(), options.devices, flags.seconds};
  steps.options.target = compile_target(*open_device(options.devices.at(0)));
  steps.options.threads = // no less than one each
      threads_of(options) * static_cast<int>(options.devices.size());
  for (const Strategy& strategy : work.strategies) {
    steps.options.strategy = strategy;
    try {
      const bool measured = measure_strategy(steps, calibration);
      say(flags,
          fmt::format("{}: {}", strategy.name, measured ? "measured" : "all kernels are known"));
    } catch (const UserError&) { // a layer that cannot be cut so
      if (!work.all)
        throw;
      say(flags, fmt::format("{}: {}", strategy.name, unsuited));
    }
  }
}

/// Keeps what was known before and was not measured now.
void keep(const Calibration& before, Calibration& calibration) {
  std::map<int, MeasuredTimes> times = before.times;
  for (const auto& [busy, newer] : calibration.times)
    merge(times[busy], newer);
  calibration.times = std::move(times);
  for (size_t d = 0; d < calibration.machine.devices.size(); ++d)
    calibration.machine.devices[d].operators.merge(
        std::map(before.machine.devices.at(d).operators));
}

nlohmann::ordered_json to_json(const Calibration& calibration, const MachineMeasurement& measured,
                               const std::filesystem::path& file) {
  const DeviceProfile& device = calibration.machine.devices[0];
  const LinkProfile& link = calibration.machine.link;
  nlohmann::ordered_json times = nlohmann::ordered_json::array(),
                         exchanges = nlohmann::ordered_json::array();
  for (const auto& [busy, known] : calibration.times)
    times.push_back({{"busy_devices", busy}, {"kernels", known.seconds.size()}});
  for (const LinkSample& sample : measured.links)
    exchanges.push_back({{"name", sample.name},
                         {"count", sample.exchanges.size()},
                         {"us", sample.seconds * 1e6},
                         {"predicted_us", predicted_seconds(sample, calibration.machine) * 1e6}});
  return {{"devices", calibration.machine.devices.size()},
          {"gflops", device.flops_per_second / 1e9},
          {"compute_efficiency", device.compute_efficiency},
          {"gb_per_second", device.bytes_per_second / 1e9},
          {"launch_us", device.launch_seconds * 1e6},
          {"link_gb_per_second", link.bytes_per_second / 1e9},
          {"link_latency_us", link.latency_seconds * 1e6},
          {"link_full_duplex", link.full_duplex},
          {"link_shared", link.shared},
          {"link_error", measured.link_error},
          {"exchanges", std::move(exchanges)},
          {"times", std::move(times)},
          {"file", file.string()}};
}

void run(const Flags& flags) {
  CalibrateOptions options = calibrate_options(flags, named_devices(flags));
  options.seconds = flags.seconds;
  const std::string fingerprint = fingerprint_of(options);
  std::optional<Work> work;
  if (!flags.net.empty())
    work = work_of(flags, static_cast<int>(options.devices.size()));
  const MachineMeasurement measured = calibrate_machine(options);
  Calibration calibration{fingerprint, today(), measured.machine};
  if (work)
    measure_steps(flags, options, *work, calibration);
  if (std::optional<Calibration> before = load_calibration(fingerprint, flags.cache))
    keep(*before, calibration);
  save(calibration, flags.cache);
  const std::filesystem::path kept = calibration_file(fingerprint, flags.cache);
  const std::string text = machine_file(calibration);
  if (!flags.output.empty())
    write_text(flags.output, text);
  if (flags.json)
    return print_json(
        to_json(calibration, measured, flags.output.empty() ? kept.string() : flags.output));
  if (flags.output.empty())
    fmt::print("{}", text);
  if (!measured.links.empty())
    say(flags, fmt::format("exchanges take what the link says, to {:.0f} % in the mean",
                           measured.link_error * 100));
  say(flags, fmt::format("kept for predictions in {}", kept.string()));
}

} // namespace

void add_calibrate(CLI::App& app, std::function<void()>& command) {
  auto flags = std::make_shared<Flags>();
  CLI::App* sub =
      app.add_subcommand("calibrate", "measure this machine as devices that run a step together");
  sub->add_option("NET", flags->net,
                  "network whose kernels are measured anew, too: file or name of a bundled\nmodel");
  sub->add_option("--devices", flags->devices, "the devices, for example cpu:0,cpu:1")->required();
  sub->add_option("--strategy", flags->strategies,
                  "strategies to measure the kernels of, by name or file, or `all` (default):\n"
                  "every named one that suits the network")
      ->delimiter(',')
      ->needs("NET");
  sub->add_option("--seconds", flags->seconds,
                  "about how long to measure the machine, and again each strategy")
      ->check(positive());
  flags->add_compile(*sub);
  flags->add_output(*sub);
  sub->add_option("-o,--output", flags->output, "file of the machine (default: printed)");
  sub->callback([flags, &command] { command = [flags] { run(*flags); }; });
}

} // namespace netc::cli
