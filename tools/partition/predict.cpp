#include "tools/partition/predict.h"

#include "ir/ops.h"
#include "runtime/slot.h"
#include "tools/driver/strategy.h"
#include "tools/partition/figures.h"
#include "tools/partition/step_times.h"

#include <algorithm>
#include <numeric>
#include <sstream>

namespace netc {

namespace {

/// Where a buffer lies: buffers of the same memory meet.
struct MemoryRange {
  int state = -1; ///< The buffer that owns it, outside the arena.
  int64_t begin = 0, end = 0;

  bool meets(const MemoryRange& other) const {
    return state == other.state && begin < other.end && other.begin < end;
  }
};

MemoryRange range_of(const Program& program, int index) {
  const Buffer& buffer = program.buffers[static_cast<size_t>(index)];
  if (buffer.place == Place::arena)
    return {-1, buffer.offset, buffer.offset + buffer.bytes};
  return buffer.alias >= 0 ? range_of(program, buffer.alias) : MemoryRange{index, 0, 1};
}

bool writes(kernel::Access access) {
  return access != kernel::Access::in;
}

/// Whether `later` must wait for `earlier`: one of them writes memory that the other uses.
bool must_wait(const Program& program, const Step& earlier, const Step& later) {
  for (size_t i = 0; i < earlier.buffers.size(); ++i)
    for (size_t j = 0; j < later.buffers.size(); ++j)
      if ((writes(earlier.access[i]) || writes(later.access[j])) &&
          range_of(program, earlier.buffers[i]).meets(range_of(program, later.buffers[j])))
        return true;
  return false;
}

/// The nodes of a graph that are steps of its program, in order.
std::vector<const Node*> step_nodes(const Graph& graph) {
  std::vector<const Node*> nodes;
  for (const auto& node : graph.nodes)
    if (node->op != &ops::parameter && node->op != &ops::feed)
      nodes.push_back(node.get());
  return nodes;
}

/// What a session that runs nothing but the program has of a device.
int64_t memory_of(const Program& program) {
  int64_t bytes =
      program.arena_bytes + block_bytes(program, Place::feed) + block_bytes(program, Place::output);
  for (const Buffer& buffer : program.buffers)
    if (buffer.place == Place::state && buffer.alias < 0)
      bytes += buffer.bytes;
  return bytes;
}

class Predictor {
public:
  Predictor(const PredictionSetup& setup, const Strategy& strategy)
      : setup_(setup), places_(places_of(setup.network)) {
    step_.strategy = strategy;
    options_ = setup.options;
    options_.strategy = strategy;
    step_.schedule.link = setup.machine.link;
    step_.schedule.one_queue = !setup.machine.link.overlaps;
  }

  PredictedStep run() {
    const LoweringOptions lowering = lowering_options(options_);
    KernelSet kernels(options_.target, options_.exact);
    std::ostringstream dump;
    std::vector<Graph> graphs;
    for (int device = 0; device < step_.strategy.devices; ++device) {
      PassedGraph passed =
          run_passes(setup_.network, Mode::train, options_, lowering, dump, device);
      step_.programs.push_back(
          build_program(passed.graph, passed.context.memory, "train", lowering, kernels, device));
      const Program& program = step_.programs.back();
      step_.peak_bytes.push_back(memory_of(program));
      graphs.push_back(std::move(passed.graph));
    }
    if (setup_.times)
      times_ = setup_.times(busy_devices(graphs));
    take_exchanges(step_.programs[0]);
    double most = 0;
    for (size_t device = 0; device < graphs.size(); ++device)
      most = std::max(most, add_tasks(static_cast<int>(device), step_.programs[device],
                                      step_nodes(graphs[device])));
    step_.additive_seconds = most + exchange_sum_;
    return std::move(step_);
  }

private:
  void take_exchanges(const Program& program) {
    step_.exchanges = program.exchanges;
    for (const Exchange& exchange : step_.exchanges) {
      traffic_.push_back(traffic_of(exchange));
      step_.schedule.exchanges.push_back(traffic_.back().bytes);
      exchange_sum_ += exchange_seconds(traffic_.back(), setup_.machine);
    }
  }

  /// The device's tasks; returns the seconds that it computes.
  double add_tasks(int device, const Program& program, const std::vector<const Node*>& nodes) {
    NETC_CHECK(nodes.size() == program.steps.size(), "device {} has {} nodes in {} steps", device,
               nodes.size(), program.steps.size());
    const DeviceProfile& profile = setup_.machine.devices[static_cast<size_t>(device)];
    std::vector<StepTask> tasks;
    std::vector<size_t> steps; // of each task
    double computes = 0;
    for (size_t s = 0; s < program.steps.size(); ++s) {
      const Step& step = program.steps[s];
      StepTask task{step_label(step, places_), 0, -1, {}};
      if (step.exchange >= 0) {
        const Traffic& traffic = traffic_[static_cast<size_t>(step.exchange)];
        task.seconds = setup_seconds(traffic, device, setup_.machine);
        if (traffic.bytes_in(device) + traffic.bytes_out(device) > 0)
          task.exchange = step.exchange;
      } else {
        task.seconds = node_seconds(*nodes[s], profile, &times_);
      }
      if (step.exchange < 0)
        computes += task.seconds;
      for (size_t t = 0; t < tasks.size(); ++t)
        if (must_wait(program, program.steps[steps[t]], step))
          task.needs.push_back(static_cast<int>(t));
      tasks.push_back(std::move(task));
      steps.push_back(s);
    }
    step_.schedule.devices.push_back(std::move(tasks));
    return computes;
  }

  const PredictionSetup& setup_;
  const std::vector<LayerPlace> places_;
  CompileOptions options_;
  PredictedStep step_;
  MeasuredTimes times_;
  std::vector<Traffic> traffic_;
  double exchange_sum_ = 0;
};

} // namespace

std::string step_label(const Step& step, const std::vector<LayerPlace>& places) {
  std::string label = step.label;
  if (size_t colon = label.find(": "); colon != label.npos)
    label.replace(colon, 2, ", ");
  for (const LayerPlace& place : places)
    if (place.loc.line == step.loc.line && place.loc.column == step.loc.column)
      return fmt::format("{}: {}", place.name, label);
  return label;
}

std::string MemoryLack::text() const {
  const std::string needed = report::megabytes(bytes), allowed = report::megabytes(limit);
  return needed == allowed
             ? fmt::format("needs {} bytes of device {}, which may use {}", bytes, device, limit)
             : fmt::format("needs {} MB of device {}, which may use {} MB", needed, device,
                           allowed);
}

std::optional<MemoryLack> memory_lack(const PredictionSetup& setup, const PredictedStep& step) {
  std::optional<MemoryLack> most;
  double fullest = 1;
  for (size_t d = 0; d < std::min(step.peak_bytes.size(), setup.memory_limits.size()); ++d)
    if (const int64_t limit = setup.memory_limits[d]; limit > 0) {
      const int64_t bytes = step.peak_bytes[d];
      const double fullness = static_cast<double>(bytes) / static_cast<double>(limit);
      if (fullness > fullest)
        fullest = fullness, most = {d, bytes, limit};
    }
  return most;
}

PredictedStep predict_step(const PredictionSetup& setup, const Strategy& strategy) {
  return Predictor(setup, strategy).run();
}

} // namespace netc
