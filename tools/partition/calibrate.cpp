#include "tools/partition/calibrate.h"

#include "ir/ops.h"
#include "runtime/devices.h"
#include "runtime/session.h"
#include "tools/driver/compile.h"
#include "tools/driver/peak.h"
#include "tools/driver/temporary_directory.h"
#include "tools/driver/trial_plan.h"
#include "tools/partition/exchange_chains.h"

#include <algorithm>
#include <chrono>
#include <unistd.h>

namespace netc {

namespace {

constexpr int64_t contraction_size = 1024;
constexpr int64_t sweep_rows = 16384; ///< Of 1024: 64 MiB a tensor.
constexpr int launches = 64;

Value* parameter(Graph& graph, const std::string& name, const Shape& shape) {
  return GraphBuilder(graph).value(ops::parameter, name, {}, {{"shape", shape}});
}

/// A product of square matrices.
Graph contraction_graph() {
  Graph graph("contraction");
  const Shape square{contraction_size, contraction_size};
  Value* x = parameter(graph, "contraction.x", square);
  Value* w = parameter(graph, "contraction.w", square);
  graph.outputs.push_back({"y", GraphBuilder(graph).value(ops::linear, "y", {x, w})});
  return graph;
}

/// `steps` sums, each of the one before and a tensor of that shape.
Graph sums_graph(const std::string& name, const Shape& shape, int steps) {
  Graph graph(name);
  Value* sum = parameter(graph, name + ".a", shape);
  Value* b = parameter(graph, name + ".b", shape);
  for (int i = 0; i < steps; ++i)
    sum = GraphBuilder(graph).value(ops::add, fmt::format("sum{}", i), {sum, b});
  graph.outputs.push_back({"sum", sum});
  return graph;
}

/// `value` with 4 digits in a unit that a machine's file multiplies by.
double rounded(double value, double unit) {
  return std::stod(fmt::format("{:.4g}", value / unit)) * unit;
}

/// Seconds with 4 digits, in microseconds.
double rounded_seconds(double seconds) {
  return std::stod(fmt::format("{:.4g}", seconds * 1e6)) / 1e6;
}

/// From the first step of any device to the last one of any, in the last run.
double span_of(const Session& session, const std::string& program) {
  double begin = 1e30, end = 0;
  for (int d = 0; d < session.device_count(); ++d)
    for (const StepTime& step : session.times(program, d)) {
      begin = std::min(begin, step.begin);
      end = std::max(end, step.end);
    }
  return end - begin;
}

/// Runs a program for about `seconds`, at least three times, the first to warm up, and gives the
/// lower quartile of what `read` makes of each run: what disturbs a run only makes it longer.
template <class Read>
double typical(Session& session, const std::string& program, double seconds, const Read& read) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> values;
  session.run(program);
  const Clock::time_point start = Clock::now();
  do {
    session.run(program);
    values.push_back(read());
  } while (values.size() < 2 ||
           std::chrono::duration<double>(Clock::now() - start).count() < seconds);
  std::sort(values.begin(), values.end());
  return values[values.size() / 4];
}

/// The mean over devices of how long their only step took.
double step_seconds(const Session& session, const std::string& program) {
  double sum = 0;
  for (int d = 0; d < session.device_count(); ++d) {
    const StepTime& step = session.times(program, d)[0];
    sum += step.end - step.begin;
  }
  return sum / session.device_count();
}

/// All that is measured, as one plan.
class Trials {
public:
  Trials(const CalibrateOptions& options, const Device& first)
      : folder_("netc-calibrate"),
        chains_(exchange_chains(static_cast<int>(options.devices.size()))) {
    graphs_.push_back(contraction_graph());
    graphs_.push_back(sums_graph("sweep", {sweep_rows, 1024}, 1));
    graphs_.push_back(sums_graph("launch", {16}, launches));
    const Target target = compile_target(first);
    const Backend backend =
        make_backend(target, options.cache.empty() ? default_cache() : options.cache);
    std::vector<TrialProgram> programs;
    for (Graph& graph : graphs_)
      programs.push_back({graph.name, std::vector<Graph*>(options.devices.size(), &graph)});
    for (ExchangeChain& chain : chains_) {
      programs.push_back({chain.name, {}});
      for (Graph& graph : chain.graphs)
        programs.back().graphs.push_back(&graph);
    }
    plan_ = trial_plan("calibrate", programs, backend,
                       {.target = target, .threads = threads_of(options), .choose = nullptr},
                       folder_.path());
  }

  /// The session, with all memory touched.
  std::unique_ptr<Session> open(const std::vector<DeviceSpec>& devices) const {
    auto session = std::make_unique<Session>(plan_, folder_.path(), devices);
    session->initialize(1);
    session->profile(true);
    return session;
  }

  const std::vector<ExchangeChain>& chains() const { return chains_; }

private:
  TemporaryDirectory folder_;
  std::vector<Graph> graphs_;
  std::vector<ExchangeChain> chains_;
  Plan plan_;
};

DeviceProfile measure_device(Session& session, double seconds) {
  DeviceProfile device;
  device.name = session.device().description();
  auto typical_step = [&](const std::string& program) {
    return typical(session, program, seconds / 3, [&] { return step_seconds(session, program); });
  };
  constexpr auto n = static_cast<double>(contraction_size);
  const double reached = 2 * n * n * n / typical_step("contraction");
  const auto devices = session.device_count();
  const bool cpu = session.device().target().kind == Target::Kind::cpu;
  const double peak =
      cpu ? fma_peak_gflops(session.plan().threads * devices) * 1e9 / devices : reached;
  device.flops_per_second = rounded(std::max(peak, reached), 1e9);
  device.compute_efficiency = rounded(std::min(1.0, reached / device.flops_per_second), 1);
  device.bytes_per_second =
      rounded(3 * 4 * static_cast<double>(sweep_rows) * 1024 / typical_step("sweep"), 1e9);
  device.launch_seconds = rounded_seconds(
      typical(session, "launch", seconds / 3, [&] { return span_of(session, "launch"); }) /
      launches);
  if (cpu)
    device.memory_bytes =
        static_cast<int64_t>(rounded(static_cast<double>(sysconf(_SC_PHYS_PAGES)) *
                                         static_cast<double>(sysconf(_SC_PAGE_SIZE)) / devices,
                                     1 << 30));
  return device;
}

void check(const CalibrateOptions& options, const Device& first) {
  if (first.target().kind == Target::Kind::emu)
    user_error("`emu` is not measured: how long it takes says nothing of a GPU",
               "a strategy other than `auto` needs no measurement; `netc partition --machine` "
               "predicts from a machine's file, see models/machines");
  const std::string kind = first.name().substr(0, first.name().find(':') + 1);
  for (const DeviceSpec& device : options.devices)
    if (!device.name.starts_with(kind))
      user_error(fmt::format("`{}` and `{}` are devices of two kinds", first.name(), device.name),
                 "devices that run a step together have kernels of one kind");
}

} // namespace

int threads_of(const CalibrateOptions& options) {
  const int all = options.threads > 0 ? options.threads : default_threads();
  return std::max(1, all / static_cast<int>(options.devices.size()));
}

MachineMeasurement calibrate_machine(const CalibrateOptions& options) {
  const std::unique_ptr<Device> first = open_device(options.devices.at(0));
  check(options, *first);
  const Trials trials(options, *first);
  const std::unique_ptr<Session> session = trials.open(options.devices);
  MachineMeasurement measurement;
  MachineProfile& machine = measurement.machine;
  machine.name = "this-machine";
  machine.devices.assign(options.devices.size(), measure_device(*session, options.seconds / 3));
  // One device has no link; any will do.
  machine.link = {0, machine.devices[0].bytes_per_second};
  const double share =
      options.seconds * 2 / 3 / static_cast<double>(std::max<size_t>(1, trials.chains().size()));
  for (const ExchangeChain& chain : trials.chains()) {
    const double seconds =
        typical(*session, chain.name, share, [&] { return span_of(*session, chain.name); });
    measurement.links.push_back({chain.name, chain.exchanges, seconds});
  }
  if (measurement.links.empty())
    return measurement;
  machine.link = fit_link(measurement.links, machine);
  machine.link.latency_seconds = rounded_seconds(machine.link.latency_seconds);
  machine.link.bytes_per_second = rounded(machine.link.bytes_per_second, 1e9);
  measurement.link_error = link_error(measurement.links, machine);
  return measurement;
}

} // namespace netc
