// `netc calibrate`: what predictions of times need to know of this machine, measured.

#include "ir/support/files.h"
#include "passes/partition/strategies.h"
#include "tools/driver/strategy.h"
#include "tools/netc/command.h"
#include "tools/partition/strategy_times.h"

#include <fmt/ranges.h>

#include <iostream>

namespace netc::cli {

namespace {

struct Flags : CommonFlags {
  std::vector<std::string> devices;
  std::vector<std::string> strategies;
  std::string output;
  double seconds = 10;

  CalibrateOptions calibrate_options() const {
    CalibrateOptions options{.devices = {}, .threads = threads, .seconds = seconds, .cache = cache};
    for (const std::string& name : devices)
      options.devices.push_back({.name = name});
    return options;
  }
};

void say(const Flags& flags, const std::string& what) {
  if (!flags.quiet)
    std::cerr << what << "\n";
}

/// The steps of the network under the strategies that the user names, or under all that suit it.
void measure_steps(const Flags& flags, const CalibrateOptions& options, Calibration& calibration) {
  const NetworkSource source = load(flags);
  const bool all = flags.strategies.empty();
  for (const std::string& name : all ? strategy_names() : flags.strategies) {
    StepsToMeasure steps{source, flags.compile_options(), options.devices, flags.seconds};
    const int devices = static_cast<int>(options.devices.size());
    steps.options.threads = threads_of(options) * devices; // no less than one each
    try {
      steps.options.strategy = resolve_strategy(name, source.network, devices);
      const bool measured = measure_strategy(steps, calibration);
      say(flags, fmt::format("{}: {}", name, measured ? "measured" : "all kernels are known"));
    } catch (const UserError&) {
      if (!all)
        throw;
      say(flags, fmt::format("{}: does not suit this network", name));
    }
  }
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
  const CalibrateOptions options = flags.calibrate_options();
  const std::string fingerprint = fingerprint_of(options);
  const MachineMeasurement measured = calibrate_machine(options);
  Calibration calibration{fingerprint, today(), measured.machine};
  if (std::optional<Calibration> before = load_calibration(fingerprint, flags.cache)) {
    calibration.times = std::move(before->times);
    for (size_t d = 0; d < calibration.machine.devices.size(); ++d)
      calibration.machine.devices[d].operators = before->machine.devices.at(d).operators;
  }
  if (!flags.net.empty())
    measure_steps(flags, options, calibration);
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
                  "network whose kernels are measured, too: file or name of a bundled model");
  sub->add_option("--devices", flags->devices, "the devices, for example cpu:0,cpu:1")
      ->delimiter(',')
      ->required();
  sub->add_option("--strategy", flags->strategies,
                  "strategies to measure the kernels of, by name or file (default: all)")
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
