#include "tools/driver/compile.h"

#include "codegen/printer.h"
#include "codegen/tuning.h"
#include "ir/ops.h"
#include "ir/support/files.h"
#include "ir/support/hash.h"
#include "runtime/devices.h"
#include "runtime/thread_team.h"
#include "tools/driver/backend.h"
#include "tools/driver/measure.h"
#include "tools/driver/strategy.h"
#include "tools/viz/dot.h"
#include "tools/viz/render.h"

#include <fmt/ranges.h>

#include <chrono>
#include <ostream>
#include <sstream>

namespace netc {

namespace fs = std::filesystem;

int default_threads() {
  return std::max(1, static_cast<int>(usable_cores().size()));
}

int threads_per_device(int threads, int devices) {
  return std::max(1, (threads > 0 ? threads : default_threads()) / devices);
}

NetworkSource load_network(const std::string& net, std::ostream& messages) {
  NetworkSource source{load_network_text(net), {}};
  Diagnostics diagnostics;
  std::optional<Network> network = parse_network(source.file.text, source.file.name, diagnostics);
  diagnostics.throw_if_errors();
  source.network = std::move(*network);
  check_partition(source.network, diagnostics);
  diagnostics.throw_if_errors();
  messages << diagnostics.render();
  Graph probe = forward_graph(source.network, 1);
  source.network.recipe.classes = class_count(probe);
  return source;
}

int64_t batch_of(const Network& network, int64_t batch) {
  return batch > 0 ? batch : network.recipe.train.batch;
}

Graph forward_graph(const Network& network, int64_t batch) {
  Diagnostics diagnostics;
  Graph graph = build_forward(network, batch, diagnostics);
  diagnostics.throw_if_errors();
  return graph;
}

namespace {

int devices_of(const CompileOptions& options) {
  return options.strategy ? options.strategy->devices : 1;
}

} // namespace

LoweringOptions lowering_options(const CompileOptions& options) {
  return {.target = options.target,
          .exact = options.exact,
          .threads = threads_per_device(options.threads, devices_of(options)),
          .choose = nullptr};
}

namespace {

Precision precision_of(const CompileOptions& options) {
  Precision usual = options.exact ? Precision::fp32 : default_precision(options.target);
  return options.precision.value_or(usual);
}

bool has_loss(const Graph& graph) {
  for (const Graph::Output& output : graph.outputs)
    if (output.name == "loss")
      return true;
  return false;
}

} // namespace

PassedGraph run_passes(const Network& network, Mode mode, const CompileOptions& options,
                       const LoweringOptions& lowering, std::ostream& dump, int device) {
  PassedGraph passed{forward_graph(network, batch_of(network, options.batch)), {}, {}};
  std::optional<PartitionSpecification> partition;
  if (options.strategy)
    partition = {*options.strategy, places_of(network)};
  passed.context.partition = partition ? &*partition : nullptr;
  passed.context.device = device;
  passed.context.mode = mode;
  passed.context.target = options.target;
  passed.context.precision = precision_of(options);
  passed.context.exact = options.exact;
  passed.context.optimizer = network.recipe.train.optimizer;
  passed.context.rewrites_left = options.stop_after_rewrite;
  passed.context.workspace_bytes = [&lowering](const Node& node) -> int64_t {
    if (std::holds_alternative<std::monostate>(node.op->lower) && !node.body)
      return 0;
    return lower(
               node, [](const Value&) { return true; }, lowering)
        .workspace_bytes();
  };
  passed.reports = run_pipeline(passed.graph, passed.context, options.pipeline, dump);
  passed.context.workspace_bytes = nullptr; // it borrows `lowering`
  passed.context.partition = nullptr;
  return passed;
}

std::vector<LayerRow> layer_table(const Network& network, int64_t batch) {
  Graph graph = forward_graph(network, batch);
  std::vector<LayerRow> rows;
  for (const LayerDescription& layer : network.layers) {
    LayerRow row{layer.name, layer.op->name, {}, 0, 0, 0};
    for (const auto& node : graph.nodes) {
      if (node->loc.line != layer.loc.line || node->loc.column != layer.loc.column)
        continue;
      if (node->op == &ops::parameter)
        row.parameters += node->result()->type.elements();
      if (node->op->macs)
        row.macs_per_image += node->op->macs(*node) / batch;
      bool value =
          node->op != &ops::parameter && node->op != &ops::feed && node->op != &ops::topk_accuracy;
      if (value) {
        const TensorType& type = node->result()->type;
        row.output =
            type.shape.size() > 1 ? Shape(type.shape.begin() + 1, type.shape.end()) : type.shape;
        row.activation_bytes = type.bytes();
      }
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

namespace {

/// Stands in a plan's folder while it is being written.
constexpr const char* unfinished_name = "plan.unfinished";

/// Whether compile_network wrote the file or folder of a plan.
bool belongs_to_plan(const std::string& name) {
  return name == "kernels" || name == "plan.json" || name == "state.txt" ||
         name == "plan.json.tmp" || name == "tuning.json" || name == "graph.svg" ||
         name == strategy_file || name == unfinished_name || name.ends_with(".graph.txt") ||
         name.ends_with(".program.txt");
}

/// Only a plan is replaced, or what a killed compilation left of one.
void check_folder(const fs::path& folder) {
  std::error_code error;
  bool free = !fs::exists(folder, error) ||
              (fs::is_directory(folder, error) &&
               (fs::is_empty(folder, error) || fs::exists(folder / "plan.json", error) ||
                fs::exists(folder / unfinished_name, error)));
  if (!free)
    user_error(fmt::format("`{}` exists and is no plan", folder.string()),
               "`-o PATH` chooses another place");
}

/// An empty folder for the plan, but for the tuning table. `plan.json` goes first and comes last,
/// so that no half plan is loaded.
void prepare_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error)
    throw RuntimeError(fmt::format("`{}` cannot be made: {}", folder.string(), error.message()),
                       "may you write there? `-o PATH` chooses another place");
  write_text(folder / unfinished_name, "");
  fs::remove(folder / "plan.json", error);
  std::vector<fs::path> old;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::string name = at->path().filename().string();
    if (belongs_to_plan(name) && name != "tuning.json" && name != unfinished_name)
      old.push_back(at->path());
  }
  for (const fs::path& path : old)
    fs::remove_all(path, error);
  fs::create_directories(folder / "kernels", error);
  if (error)
    throw RuntimeError(fmt::format("`{}` cannot be made: {}", folder.string(), error.message()));
}

/// Writes the kernels' texts. The layers stand at the foot of a text, so that its lines keep the
/// numbers that compilers and the emulator name.
void write_texts(const KernelSet& kernels, const std::string& suffix, const fs::path& folder) {
  for (const KernelSet::Entry& entry : kernels.entries()) {
    std::string foot; // training and inference share kernels: a layer may use one twice
    for (const std::string& user : entry.users)
      if (std::string line = "// " + user + "\n"; foot.find(line) == foot.npos)
        foot += line;
    write_text(folder / (entry.name + suffix), entry.code.text + "\n// Computes\n" + foot);
  }
  for (const auto& [name, text] : device_files()) {
    fs::create_directories((folder / "include" / name).parent_path());
    write_text(folder / "include" / name, text);
  }
}

/// A precision that the target lacks is the user's mistake.
void check_precision(const CompileOptions& options) {
  if (!options.precision)
    return;
  if (!supports(options.target, *options.precision))
    user_error(fmt::format("the target `{}` has no precision {}", options.target.str(),
                           to_string(*options.precision)),
               "`--precision fp32` is what the CPU and GPUs before sm_80 have");
  if (options.exact && *options.precision != Precision::fp32)
    user_error(fmt::format("`--math exact` is fp32, not {}", to_string(*options.precision)),
               "leave out `--precision`, or `--math exact`");
}

/// Layers may ask for what the target lacks: one description serves all targets. They are computed
/// all the same, but who asked is told.
void tell_denied(const std::vector<DeniedPrecision>& denied, const CompileOptions& options,
                 std::ostream& messages) {
  std::map<Precision, std::vector<std::string>> layers;
  for (const DeniedPrecision& d : denied)
    layers[d.asked].push_back(fmt::format("`{}`", d.layer));
  for (const auto& [asked, names] : layers)
    messages << fmt::format(
        "note: fp32 instead of {} for {}: {}\n", to_string(asked), fmt::join(names, ", "),
        supports(options.target, asked) ? "`--math exact` is fp32"
                                        : fmt::format("the target `{}` has no precision {}",
                                                      options.target.str(), to_string(asked)));
}

/// The device to measure on, which must run the target's kernels.
DeviceSpec tuning_device(const CompileOptions& options, int threads) {
  DeviceSpec spec{.name = options.device.empty() ? device_for(options.target) : options.device,
                  .threads = threads};
  if (!open_device(spec)->runs(options.target))
    user_error(fmt::format("`--tune` on `{}`, which does not run kernels for `{}`", spec.name,
                           options.target.str()),
               fmt::format("`--device {}` does", device_for(options.target)));
  return spec;
}

Tuner::Options tuner_options(const CompileOptions& options, const Backend& backend,
                             const LoweringOptions& lowering, const ReportLeftOut& left_out) {
  const bool emulated = options.target.kind == Target::Kind::emu;
  return {.machine = emulated ? options.target.str() : backend.machine,
          .lowering = lowering,
          .frozen = options.frozen,
          .measure = options.tune
                         ? measure_on(tuning_device(options, lowering.threads), backend, lowering,
                                      options.target.kind == Target::Kind::cpu ? 300 : 50, left_out)
                         : nullptr};
}

/// The table the user names, or the one an earlier compilation left in the plan.
TuningTable load_tuning(const CompileOptions& options, const fs::path& folder) {
  fs::path file = options.tuning.empty() ? folder / "tuning.json" : options.tuning;
  std::optional<std::string> text = read_text(file);
  if (!text && !options.tuning.empty())
    user_error(fmt::format("the tuning table `{}` cannot be read", file.string()));
  return text ? TuningTable::parse(*text, file.string()) : TuningTable{};
}

/// The plan but for its programs, kernels and state.
Plan plan_header(const NetworkSource& source, const Backend& backend, const CompileOptions& options,
                 int threads) {
  const Network& network = source.network;
  Plan plan;
  plan.network = network.recipe.name;
  plan.network_hash = content_hash(source.file.text);
  plan.target = options.target.str();
  plan.compiler = backend.version;
  plan.machine = backend.machine;
  plan.exact = options.exact;
  plan.precision = to_string(precision_of(options));
  plan.threads = threads;
  plan.devices = devices_of(options);
  plan.strategy = options.strategy && plan.devices > 1 ? options.strategy->name : "";
  plan.batch = batch_of(network, options.batch);
  plan.recipe = network.recipe;
  plan.recipe.train.batch = plan.batch;
  plan.layers = layer_table(network, plan.batch);
  return plan;
}

/// What a plan says of its graphs; nothing is written until all is known to compile.
struct ProgramTexts {
  std::map<std::string, std::string> files;
  Graph drawn; ///< The first program of the first device.
};

/// The programs of all devices for one mode.
void make_programs_of(Mode mode, const Network& network, const CompileOptions& options,
                      const LoweringOptions& lowering, KernelSet& kernels, Compiled& compiled,
                      ProgramTexts& texts, std::ostream& dump) {
  Plan& plan = compiled.plan;
  const std::string name = mode == Mode::train ? "train" : "eval";
  std::vector<Graph> graphs;
  std::vector<const Program*> programs;
  const size_t first = plan.programs.size();
  for (int device = 0; device < plan.devices; ++device) {
    PassedGraph passed = run_passes(network, mode, options, lowering, dump, device);
    plan.programs.push_back(
        build_program(passed.graph, passed.context.memory, name, lowering, kernels, device));
    verify(plan.programs.back());
    std::string file = plan.devices == 1 ? name : fmt::format("{}.{}", name, device);
    texts.files[file + ".graph.txt"] = print(passed.graph);
    if (plan.programs.size() == 1)
      texts.drawn = passed.graph.clone();
    if (compiled.reports.empty()) { // the first graph has all layers
      compiled.reports = std::move(passed.reports);
      if (options.remarks)
        tell_denied(passed.context.denied_precisions, options, dump);
    }
    graphs.push_back(std::move(passed.graph));
  }
  for (size_t i = first; i < plan.programs.size(); ++i)
    programs.push_back(&plan.programs[i]);
  check_exchanges(programs);
  std::vector<const Graph*> pointers;
  for (const Graph& graph : graphs)
    pointers.push_back(&graph);
  if (plan.state.empty())
    plan.state = state_of(pointers);
}

ProgramTexts make_programs(const Network& network, const CompileOptions& options,
                           const LoweringOptions& lowering, KernelSet& kernels, Compiled& compiled,
                           std::ostream& dump) {
  ProgramTexts texts;
  const bool train = options.train && has_loss(forward_graph(network, 1));
  for (Mode mode : {Mode::train, Mode::infer})
    if (mode == Mode::infer || train)
      make_programs_of(mode, network, options, lowering, kernels, compiled, texts, dump);
  return texts;
}

} // namespace

Compiled compile_network(const NetworkSource& source, const CompileOptions& options,
                         const fs::path& folder, std::ostream& dump) {
  auto start = std::chrono::steady_clock::now();
  const Network& network = source.network;
  check_precision(options);
  Backend backend =
      make_backend(options.target, options.cache.empty() ? default_cache() : options.cache);
  LoweringOptions lowering = lowering_options(options);
  Compiled compiled;
  auto leave_out = [&](const LeftOut& left_out) {
    dump << fmt::format("note: `--tune` leaves out {}: {}\n", left_out.library, left_out.reason);
    compiled.left_out.push_back(left_out);
  };
  Tuner tuner(load_tuning(options, folder), tuner_options(options, backend, lowering, leave_out));
  lowering.choose = [&](const ContractionUse& use) { return tuner.choose(use); };
  compiled.folder = folder;
  Plan& plan = compiled.plan;
  plan = plan_header(source, backend, options, lowering.threads);
  check_folder(folder);

  KernelSet kernels(options.target, options.exact);
  ProgramTexts texts = make_programs(network, options, lowering, kernels, compiled, dump);
  std::vector<CompileJob> jobs = jobs_of(kernels);
  compiled.stats = backend.compile(jobs, default_threads());
  prepare_folder(folder);
  for (const auto& [name, text] : texts.files)
    write_text(folder / name, text);
  if (plan.devices > 1)
    write_text(folder / strategy_file, print(*options.strategy));
  if (graphviz_available())
    render_dot(to_dot(texts.drawn, {.stage = "as compiled", .show_parameters = false}), "svg",
               folder / "graph.svg");
  write_texts(kernels, backend.source_suffix, folder / "kernels");
  plan.kernels = place_kernels(kernels, jobs, backend, folder);
  if (!tuner.table().empty())
    write_text(folder / "tuning.json", tuner.table().str());
  write_plan(plan, folder);
  fs::remove(folder / unfinished_name);
  compiled.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return compiled;
}

} // namespace netc
