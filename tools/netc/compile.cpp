// `netc compile NET`: writes a plan and prints the layer table.

#include "tools/driver/backend.h"
#include "tools/netc/ready_plan.h"

#include <fmt/ranges.h>

#include <iostream>

namespace netc::cli {

namespace {

struct Flags : CommonFlags {
  std::string output;
  std::string target;
  std::string mode = "train";
  std::vector<std::string> print_after, skip;
  std::string stop_after;
  int64_t stop_after_rewrite = INT64_MAX;
  bool time_passes = false;
  bool verify_each = false;
  bool tune = false;
  bool frozen = false;
  std::string tuning;
};

void print_layers(const Plan& plan) {
  std::vector<std::vector<std::string>> rows = {
      {"layer", "type", "output", "parameters", "multiply-adds", "activation"}};
  int64_t parameters = 0, macs = 0, bytes = 0;
  for (const LayerRow& layer : plan.layers) {
    rows.push_back({layer.name, layer.type, shape_string(layer.output),
                    layer.parameters ? grouped(layer.parameters) : "",
                    layer.macs_per_image ? grouped(layer.macs_per_image) : "",
                    megabytes(layer.activation_bytes)});
    parameters += layer.parameters, macs += layer.macs_per_image;
    bytes += layer.activation_bytes;
  }
  rows.push_back({"total", "", "", grouped(parameters), grouped(macs), megabytes(bytes)});
  fmt::print("{}\nper image: parameters and multiply-adds; activation: for the batch of {}, each "
             "layer's result once, before fusion\n",
             text_table(rows), plan.batch);
}

/// Bytes of state on a device, whichever of its programs use it.
int64_t state_bytes(const Plan& plan, int device) {
  std::map<std::string, int64_t> buffers;
  for (const Program& program : plan.programs)
    for (const Buffer& buffer : program.buffers)
      if (program.device == device && buffer.place == Place::state && buffer.alias < 0)
        buffers[buffer.name] = buffer.type.bytes();
  int64_t bytes = 0;
  for (const auto& [name, size] : buffers)
    bytes += size;
  return bytes;
}

void print_memory(const Plan& plan) {
  for (const Program& program : plan.programs) {
    const size_t exchanges = program.exchanges.size();
    fmt::print("{}{}: {} kernel launches{}, arena {} (lower bound {}, {:.1f} % above)\n",
               program.name, plan.devices > 1 ? fmt::format(" on device {}", program.device) : "",
               program.steps.size() - exchanges,
               plan.devices > 1 ? fmt::format(", {} exchanges", exchanges) : "",
               megabytes(program.arena_bytes), megabytes(program.lower_bound_bytes),
               100.0 * static_cast<double>(program.arena_bytes - program.lower_bound_bytes) /
                   static_cast<double>(std::max<int64_t>(program.lower_bound_bytes, 1)));
  }
  int64_t state = 0;
  for (const StateInit& s : plan.state)
    state += s.type.bytes();
  fmt::print("state (weights and momenta): {}", megabytes(state));
  for (int device = 0; plan.devices > 1 && device < plan.devices; ++device)
    fmt::print("{}{} on device {}", device ? ", " : "; ", megabytes(state_bytes(plan, device)),
               device);
  fmt::print("\n");
}

nlohmann::ordered_json kernels_json(const Plan& plan) {
  auto list = nlohmann::ordered_json::array();
  for (const PlanKernel& kernel : plan.kernels) {
    auto entries = nlohmann::ordered_json::array();
    for (const KernelEntry& e : kernel.entries) {
      auto known = [&](int value) {
        return e.says_registers() ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
      };
      entries.push_back({{"blocks", e.blocks},
                         {"threads", e.threads},
                         {"shared_bytes", e.shared_bytes},
                         {"registers", known(e.registers)},
                         {"spill_bytes", known(e.spill_bytes)}});
    }
    list.push_back({{"name", kernel.name},
                    {"implementation", kernel.implementation},
                    {"precision", kernel.precision},
                    {"entries", entries}});
  }
  return list;
}

nlohmann::ordered_json left_out_json(const std::vector<LeftOut>& libraries) {
  auto list = nlohmann::ordered_json::array();
  for (const LeftOut& left_out : libraries)
    list.push_back({{"library", left_out.library}, {"reason", left_out.reason}});
  return list;
}

nlohmann::ordered_json to_json(const Compiled& compiled) {
  const Plan& plan = compiled.plan;
  nlohmann::ordered_json json, layers = nlohmann::ordered_json::array();
  int64_t parameters = 0, macs = 0;
  for (const LayerRow& layer : plan.layers) {
    parameters += layer.parameters, macs += layer.macs_per_image;
    layers.push_back({{"name", layer.name},
                      {"type", layer.type},
                      {"output_shape", layer.output},
                      {"parameters", layer.parameters},
                      {"macs_per_image", layer.macs_per_image},
                      {"activation_bytes", layer.activation_bytes}});
  }
  const Program& first = plan.programs.front();
  json["network"] = plan.network;
  json["plan"] = compiled.folder.string();
  json["target"] = plan.target;
  json["batch"] = plan.batch;
  json["parameters"] = parameters;
  json["macs_per_image"] = macs;
  json["planned_peak_bytes"] = first.arena_bytes;
  json["peak_lower_bound_bytes"] = first.lower_bound_bytes;
  json["kernels"] = plan.kernels.size();
  json["compile_seconds"] = compiled.seconds;
  json["cache_hits"] = compiled.stats.hits;
  json["layers"] = layers;
  json["kernel_list"] = kernels_json(plan);
  auto peaks = nlohmann::ordered_json::array();
  for (const Program* program : plan.device_programs(first.name))
    peaks.push_back(program->arena_bytes);
  json["devices"] = plan.devices;
  json["strategy"] = strategy_of(plan);
  json["planned_peak_bytes_per_device"] = peaks;
  json["libraries_left_out"] = left_out_json(compiled.left_out);
  json["precision"] = plan.precision;
  return json;
}

/// A launch of a kernel, as the table of kernels has it.
std::vector<std::string> launch_row(const KernelEntry& e) {
  return {fmt::format("{} x {}", e.blocks, e.threads),
          fmt::format("{:.1f} KB", e.shared_bytes / 1024.0),
          e.registers ? std::to_string(e.registers) : "",
          e.spill_bytes ? fmt::format("{} B", e.spill_bytes) : ""};
}

/// What the compiler says of the kernels of a GPU, entry by entry, and where libraries are called.
void print_kernels(const Plan& plan) {
  std::vector<std::vector<std::string>> rows = {
      {"kernel", "precision", "blocks x threads", "shared memory", "registers", "spilled"}};
  for (const PlanKernel& kernel : plan.kernels) {
    std::vector<std::vector<std::string>> launches;
    for (const KernelEntry& entry : kernel.entries)
      launches.push_back(launch_row(entry));
    if (const auto& call = kernel.library)
      launches.insert(launches.begin() + call->entries_before, {call->library, "", "", ""});
    for (size_t i = 0; i < launches.size(); ++i) {
      rows.push_back({i == 0 ? kernel.name : fmt::format("  its launch {}", i + 1),
                      i == 0 ? kernel.precision : ""});
      rows.back().insert(rows.back().end(), launches[i].begin(), launches[i].end());
    }
  }
  if (rows.size() > 1)
    fmt::print("\n{}\n", text_table(rows));
  if (rows.size() > 1 && parse_target(plan.target).is_ptx())
    fmt::print("registers and spills are known once a GPU's driver has compiled the PTX\n\n");
}

void print_passes(const std::vector<PassReport>& reports) {
  std::vector<std::vector<std::string>> rows = {{"pass", "rewrites", "ms", "nodes"}};
  for (const PassReport& r : reports)
    rows.push_back({r.name, std::to_string(r.rewrites), fmt::format("{:.2f}", r.seconds * 1e3),
                    std::to_string(r.nodes)});
  std::cerr << text_table(rows);
}

/// Whether a device of that name is of the target's kind: `cuda:1` of `cuda:sm_90`.
bool is_kind_of(const std::string& device, const Target& target) {
  auto kind = [](const std::string& name) { return name.substr(0, name.find(':')); };
  return kind(device) == kind(target.str());
}

/// What `--target` names, else what is best for the devices. With both, the one must be for the
/// others, one of which is asked, several only by name: this machine need not have them. Whether
/// `--tune` can measure there is asked later.
Target target_of(const Flags& flags, const std::vector<std::string>& devices) {
  if (flags.target.empty())
    return compile_target(*choose_devices(flags, nullptr).front());
  Target target = parse_target(flags.target);
  for (const std::string& name : devices)
    if (devices.size() > 1 && !is_kind_of(name, target))
      user_error(fmt::format("`--target {}` is not for `{}` of `--devices`", target.str(), name),
                 "leave out `--target`, or name devices of its kind");
  if (devices.size() != 1 || flags.tune)
    return target;
  std::unique_ptr<Device> device = std::move(choose_devices(flags, nullptr).front());
  if (!device->runs(target))
    user_error(fmt::format("`--target {}` is not for `--device {}`, which runs `{}`", target.str(),
                           device->name(), device->target().str()),
               "leave out one of the two");
  return target;
}

CompileOptions options_of(const Flags& flags, const Network& network) {
  const std::vector<std::string> devices = named_devices(flags);
  CompileOptions options = flags.compile_options();
  options.target = target_of(flags, devices);
  options.strategy =
      choose_strategy(flags, network, std::max(1, static_cast<int>(devices.size())), flags.batch);
  options.train = flags.mode == "train";
  options.pipeline.print_after.insert(flags.print_after.begin(), flags.print_after.end());
  options.pipeline.skip.insert(flags.skip.begin(), flags.skip.end());
  options.pipeline.stop_after = flags.stop_after;
  options.pipeline.verify_each = flags.verify_each;
  options.stop_after_rewrite = flags.stop_after_rewrite;
  options.device = devices.empty() ? "" : devices.front();
  options.tune = flags.tune;
  options.frozen = flags.frozen;
  options.tuning = flags.tuning;
  return options;
}

/// With --stop-after there is no plan: the graph as it then stands is the result.
void print_stopped(const Flags& flags, const NetworkSource& source) {
  Mode mode = flags.mode == "train" ? Mode::train : Mode::infer;
  const CompileOptions options = options_of(flags, source.network);
  const int device = flags.logical_device_of(options.strategy);
  PassedGraph passed =
      run_passes(source.network, mode, options, lowering_options(options), std::cerr, device);
  if (flags.time_passes)
    print_passes(passed.reports);
  fmt::print("{}", print(passed.graph));
}

/// ` on 2 devices, cut by `data``.
std::string cut_text(const Plan& plan) {
  return plan.devices == 1
             ? ""
             : fmt::format(" on {} devices, cut by `{}`", plan.devices, strategy_of(plan));
}

void run(const Flags& flags) {
  NetworkSource source = load(flags);
  if (!flags.stop_after.empty())
    return print_stopped(flags, source);
  std::filesystem::path folder =
      flags.output.empty() ? source.network.recipe.name + ".plan" : flags.output;
  Compiled compiled = compile_network(source, options_of(flags, source.network), folder, std::cerr);
  if (flags.time_passes)
    print_passes(compiled.reports);
  if (flags.json)
    return print_json(to_json(compiled));
  print_layers(compiled.plan);
  print_memory(compiled.plan);
  print_kernels(compiled.plan);
  fmt::print("wrote {}/ for {}{}: {} kernels in {} ({} from the cache, {} compiled by {} in {:.1f} "
             "s)\n",
             folder.string(), compiled.plan.target, cut_text(compiled.plan),
             compiled.plan.kernels.size(), precisions_of(compiled.plan), compiled.stats.hits,
             compiled.stats.misses, compiled.plan.compiler, compiled.stats.seconds);
}

} // namespace

void add_compile(CLI::App& app, std::function<void()>& command) {
  auto flags = std::make_shared<Flags>();
  CLI::App* sub = app.add_subcommand("compile", "compile a network to a plan");
  flags->add_net(*sub);
  flags->add_compile(*sub);
  flags->add_output(*sub);
  sub->add_option("--target", flags->target,
                  "cpu, cuda:ARCH such as cuda:sm_90, or emu, emu:ARCH: its text on the emulator "
                  "(default: as --device)");
  flags->add_devices(*sub);
  sub->add_option("-o,--output", flags->output, "folder of the plan (default: NAME.plan)");
  sub->add_option("--mode", flags->mode, "train (with inference), or infer alone")
      ->check(CLI::IsMember({"train", "infer"}));
  CLI::Option* tune = sub->add_flag("--tune", flags->tune,
                                    "measure the candidates of each contraction once and write "
                                    "the choice to tuning.json in the plan");
  sub->add_flag("--frozen", flags->frozen, "fail on a contraction that is not in the table")
      ->excludes(tune);
  sub->add_option("--tuning", flags->tuning, "tuning table (default: the plan's own)");
  sub->add_option("--print-after", flags->print_after, "print the graph after a pass, or `all`");
  sub->add_option("--stop-after", flags->stop_after, "stop after a pass and print the graph");
  flags->add_logical_device(*sub);
  sub->add_option("--skip", flags->skip, "leave a pass out");
  sub->add_option("--stop-after-rewrite", flags->stop_after_rewrite,
                  "allow only the first N rewrites (to find the one that breaks something)")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40));
  sub->add_flag("--time-passes", flags->time_passes, "print what each pass did and how long");
  sub->add_flag("--verify-each", flags->verify_each, "check the graph after each pass");
  sub->callback([flags, &command] { command = [flags] { run(*flags); }; });
}

} // namespace netc::cli
