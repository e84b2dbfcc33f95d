// `netc partition NET --devices D,D`: every strategy predicted and measured, and a report.

#include "frontend/machine.h"
#include "ir/support/files.h"
#include "passes/partition/strategies.h"
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

/// Those named, each once; nothing for all that have names, and the search's.
std::vector<std::string> wanted(const Flags& flags) {
  std::vector<std::string> names;
  auto add = [&](const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end())
      names.push_back(name);
  };
  for (const std::string& name : flags.strategies)
    if (name == "all") {
      for (const std::string& each : strategy_names())
        add(each);
      add(std::string(found_strategy));
    } else {
      add(name);
    }
  return names;
}

/// What predictions are for: this machine, or one that is described. Of devices that a described
/// machine lacks, a remark says what they are taken for.
Calibration calibration_of(const Flags& flags, const std::vector<std::string>& devices,
                           std::string& remark) {
  if (flags.machine.empty())
    return calibration_of_devices(flags, devices);
  Calibration calibration;
  calibration.machine = load_machine(flags.machine);
  std::vector<DeviceProfile>& has = calibration.machine.devices;
  if (has.size() < devices.size()) {
    remark = fmt::format("the machine `{}` has {} device{}; {} more like the last are assumed",
                         calibration.machine.name, has.size(), has.size() == 1 ? "" : "s",
                         devices.size() - has.size());
    has.resize(devices.size(), DeviceProfile(has.back()));
  }
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

std::filesystem::path html_of(const std::string& output) {
  std::filesystem::path html = output;
  if (html.extension() == ".json")
    html.replace_extension(".html"); // the JSON lies beside it
  return html;
}

/// Before minutes are spent on a report that cannot be written.
void check_output(const std::string& output) {
  std::error_code ignored;
  const std::filesystem::path folder = html_of(output).parent_path();
  if (std::filesystem::is_directory(output, ignored))
    user_error(fmt::format("the report `{}` would be a folder", output),
               "`-o` names a file, as in `-o report.html`");
  if (!folder.empty() && !std::filesystem::is_directory(folder, ignored))
    user_error(fmt::format("there is no folder `{}` for the report", folder.string()));
}

void write_report(const PartitionReport& report, const std::string& output) {
  const std::filesystem::path html = html_of(output);
  write_text(html, partition_html(report));
  write_text(std::filesystem::path(html).replace_extension(".json"), partition_json(report));
  for (const StrategyReport& strategy : report.strategies)
    if (strategy.name == found_strategy && strategy.error.empty())
      write_text(std::filesystem::path(html).replace_extension(".auto.yaml"), strategy.file);
}

LaboratoryOptions laboratory_of(const Flags& flags, const std::vector<std::string>& devices) {
  const bool here = flags.machine.empty();
  LaboratoryOptions laboratory;
  laboratory.strategies = wanted(flags);
  laboratory.measure = !flags.no_measure;
  laboratory.measure_kernels = here && !flags.no_measure;
  laboratory.other_machine = !here || !flags.link.empty();
  laboratory.sweeps = !flags.no_sweeps;
  laboratory.rounds = flags.rounds;
  laboratory.memory_limit = parse_bytes(flags.memory_limit).value_or(0);
  laboratory.seed = flags.seed;
  for (const std::string& name : devices)
    laboratory.devices.push_back({.name = name, .memory_limit = laboratory.memory_limit});
  if (!flags.quiet)
    laboratory.progress = [](const std::string& text) { std::cerr << text << " ...\n"; };
  return laboratory;
}

/// The report; what was measured for it on the way is kept, whatever happens.
PartitionReport explore(const Flags& flags, const std::vector<std::string>& devices) {
  const NetworkSource source = load(flags);
  CompileOptions options = flags.compile_options();
  options.target = compile_target(*open_device({.name = devices.at(0)}));
  std::string remark;
  Calibration calibration = calibration_of(flags, devices, remark);
  const LinkProfile own_link = calibration.machine.link;
  if (!flags.link.empty())
    calibration.machine.link = parse_link(flags.link, own_link);
  LaboratoryOptions laboratory = laboratory_of(flags, devices);
  laboratory.calibration = &calibration;
  auto keep = [&] {
    calibration.machine.link = own_link;
    if (laboratory.measure_kernels)
      save(calibration, flags.cache);
  };
  PartitionReport report;
  try {
    report = explore_partitions(source, options, laboratory);
  } catch (...) {
    keep();
    throw;
  }
  keep();
  if (!remark.empty())
    report.notes.push_back(remark);
  report.host = processor_description();
  report.version = fmt::format("netc {}", NETC_VERSION);
  return report;
}

void run(const Flags& flags) {
  const std::vector<std::string> devices = named_devices(flags);
  check_devices(devices);
  if (!flags.output.empty())
    check_output(flags.output);
  const PartitionReport report = explore(flags, devices);
  if (flags.json)
    std::cout << partition_json(report) << "\n";
  else
    std::cout << partition_table(report);
  std::cout << std::flush;
  if (!flags.output.empty())
    write_report(report, flags.output);
  if (std::none_of(report.strategies.begin(), report.strategies.end(),
                   [](const StrategyReport& row) { return row.error.empty(); }))
    user_error(
        "no strategy is possible",
        "a smaller batch, more memory or fewer devices may help; the table says why of each");
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
