// `netc partition NET --devices D,D`: every strategy predicted and measured, and a report.

#include "frontend/machine.h"
#include "ir/support/files.h"
#include "runtime/byte_text.h"
#include "runtime/cpu_device.h"
#include "runtime/devices.h"
#include "tools/driver/backend.h"
#include "tools/driver/strategy.h"
#include "tools/netc/devices.h"
#include "tools/partition/laboratory.h"

#include <algorithm>
#include <iostream>

namespace netc::cli {

namespace {

struct Flags : CommonFlags {
  std::vector<std::string> strategies;
  std::string machine;
  std::string link;
  std::string output;
  bool no_measure = false;
  bool no_sweeps = false;
  int rounds = 5;
};

/// All strategies, or those named, each once.
std::vector<std::string> wanted(const Flags& flags) {
  std::vector<std::string> names;
  for (const std::string& name : flags.strategies) {
    if (name == "all")
      return {};
    if (std::find(names.begin(), names.end(), name) == names.end())
      names.push_back(name);
  }
  return names;
}

/// What predictions are for: this machine, or one that is described.
Calibration calibration_of(const Flags& flags, const std::vector<std::string>& devices) {
  Calibration calibration;
  if (flags.machine.empty()) {
    calibration = calibration_of_devices(flags, devices);
  } else {
    calibration.machine = load_machine(flags.machine);
    if (calibration.machine.devices.size() < devices.size())
      calibration.machine.devices.resize(devices.size(), calibration.machine.devices.back());
  }
  if (!flags.link.empty())
    calibration.machine.link = parse_link(flags.link, calibration.machine.link);
  return calibration;
}

/// There must be several, of one kind, that are here.
void check_devices(const std::vector<std::string>& devices) {
  if (devices.size() < 2)
    user_error("a step is cut over several devices, and there is one",
               "`--devices` lists them, as in `--devices cpu:0,cpu:1`");
  auto kind = [](const std::string& name) { return name.substr(0, name.find(':')); };
  for (const std::string& name : devices) {
    open_device({.name = name});
    if (kind(name) != kind(devices[0]))
      user_error(fmt::format("`{}` and `{}` are devices of different kinds", devices[0], name),
                 "a step is cut over devices of one kind");
  }
}

void write_report(const PartitionReport& report, const std::string& output) {
  std::filesystem::path html = output;
  if (html.extension() == ".json")
    html.replace_extension(".html"); // the JSON lies beside it
  write_text(html, partition_html(report));
  write_text(std::filesystem::path(html).replace_extension(".json"), partition_json(report));
  for (const StrategyReport& strategy : report.strategies)
    if (strategy.name == found_strategy && strategy.error.empty())
      write_text(std::filesystem::path(html).replace_extension(".auto.yaml"), strategy.file);
}

void run(const Flags& flags) {
  NetworkSource source = load(flags);
  CompileOptions options = flags.compile_options();
  const std::vector<std::string> devices = named_devices(flags);
  check_devices(devices);
  options.target = compile_target(*open_device({.name = devices.at(0)}));
  Calibration calibration = calibration_of(flags, devices);
  const bool here = flags.machine.empty();
  LaboratoryOptions laboratory{.devices = {},
                               .strategies = wanted(flags),
                               .calibration = &calibration,
                               .measure = !flags.no_measure,
                               .measure_kernels = here && !flags.no_measure,
                               .sweeps = !flags.no_sweeps,
                               .rounds = flags.rounds,
                               .memory_limit = parse_bytes(flags.memory_limit).value_or(0),
                               .seed = flags.seed,
                               .progress = nullptr};
  for (const std::string& name : devices)
    laboratory.devices.push_back({.name = name, .memory_limit = laboratory.memory_limit});
  if (!flags.quiet)
    laboratory.progress = [](const std::string& text) { std::cerr << text << " ...\n"; };
  PartitionReport report = explore_partitions(source, options, laboratory);
  if (here && flags.link.empty())
    save(calibration, flags.cache); // with the kernels that are new
  report.host = processor_description();
  report.version = fmt::format("netc {}", NETC_VERSION);
  if (!flags.output.empty())
    write_report(report, flags.output);
  if (flags.json)
    std::cout << partition_json(report) << "\n";
  else
    std::cout << partition_table(report);
}

} // namespace

void add_partition(CLI::App& app, std::function<void()>& command) {
  auto flags = std::make_shared<Flags>();
  CLI::App* sub = app.add_subcommand(
      "partition", "strategies to cut a network over devices: predicted, measured, compared");
  flags->add_net(*sub);
  flags->add_compile(*sub);
  flags->add_memory_limit(*sub);
  flags->add_output(*sub);
  sub->add_option("--devices", flags->devices, "logical devices, e.g. cpu:0,cpu:1")->required();
  sub->add_option("--strategy", flags->strategies,
                  "names or files, or `all` (default): every named one, and `auto`, the search's")
      ->delimiter(',');
  sub->add_option("--machine", flags->machine,
                  "that predictions are for, instead of this one: a bundled name or a file");
  sub->add_option("--link", flags->link, "between devices instead of the machine's: 6GB/s,20us");
  sub->add_flag("--no-measure", flags->no_measure, "predict only, run nothing");
  sub->add_flag("--no-sweeps", flags->no_sweeps, "leave out other bandwidths and batches");
  sub->add_option("--rounds", flags->rounds, "measured steps of each strategy")
      ->check(CLI::Range(1, 1000));
  sub->add_option("--seed", flags->seed, "of weights and dropout");
  sub->add_option("-o", flags->output,
                  "write the report as HTML here, and beside it as JSON and the\n"
                  "search's strategy as a file");
  sub->callback([flags, &command] { command = [flags] { run(*flags); }; });
}

} // namespace netc::cli
