#include "tools/partition/laboratory.h"

#include "ir/support/files.h"
#include "passes/partition/micro_batch.h"
#include "passes/partition/strategies.h"
#include "tools/driver/strategy.h"
#include "tools/driver/temporary_directory.h"
#include "tools/partition/drawing.h"
#include "tools/partition/figures.h"
#include "tools/partition/measurement.h"
#include "tools/partition/predict.h"
#include "tools/partition/strategy_times.h"
#include "tools/partition/sweeps.h"
#include "tools/viz/render.h"

#include <algorithm>
#include <set>

namespace netc {

namespace {

double ms(double seconds) {
  return seconds * 1e3;
}

/// What a device sends, by device.
std::vector<int64_t> sums_of_rows(const std::vector<std::vector<int64_t>>& bytes) {
  std::vector<int64_t> sums;
  for (const auto& row : bytes) {
    int64_t sum = 0;
    for (int64_t count : row)
      sum += count;
    sums.push_back(sum);
  }
  return sums;
}

/// A diagnostic without the word that it begins with.
std::string without_mark(const std::string& diagnostic) {
  const std::string mark = "error: ";
  return diagnostic.starts_with(mark) ? diagnostic.substr(mark.size()) : diagnostic;
}

class Laboratory {
public:
  Laboratory(const NetworkSource& source, const CompileOptions& options,
             const LaboratoryOptions& laboratory)
      : source_(source), options_(options), laboratory_(laboratory),
        uncut_(uncut_step(source.network, options)),
        layers_(strategy_layers(forward_graph(source.network, 1), places_of(source.network))) {}

  PartitionReport run() {
    fill_header();
    for (const std::string& name : names())
      predict(name);
    if (laboratory_.measure)
      measure_strategies(source_, options_, laboratory_, strategies_, report_);
    report_.best = report::fastest(report_);
    if (laboratory_.sweeps)
      report_.sweeps = sweep_bandwidth_and_batch(setup(), strategies_);
    return std::move(report_);
  }

private:
  void say(const std::string& text) const {
    if (laboratory_.progress)
      laboratory_.progress(text);
  }

  const MachineProfile& machine() const { return laboratory_.calibration->machine; }
  PredictionSetup setup() const { return prediction_setup(source_.network, options_, laboratory_); }

  /// Kernels that nobody has measured yet are, so that predictions rest on times.
  void measure_kernels(const Strategy& strategy, const std::string& name) {
    StepsToMeasure steps{source_, options_, laboratory_.devices, 3};
    steps.options.strategy = strategy;
    try {
      measure_strategy(steps, *laboratory_.calibration);
    } catch (const RuntimeError& error) {
      report_.notes.push_back(fmt::format("kernels of `{}` could not be measured, so that its "
                                          "prediction is a guess: {}",
                                          name, error.what()));
    }
  }

  int devices() const { return static_cast<int>(laboratory_.devices.size()); }

  void fill_header() {
    report_.network = source_.network.recipe.name;
    report_.batch = batch_of(source_.network, options_.batch);
    report_.math = options_.exact ? "exact" : "fast";
    for (const DeviceSpec& device : laboratory_.devices)
      report_.devices.push_back(device.name);
    report_.machine = machine().name;
    const LinkProfile& link = machine().link;
    report_.link = fmt::format("{:.3g} GB/s, {:.3g} us{}{}", link.bytes_per_second / 1e9,
                               link.latency_seconds * 1e6, link.full_duplex ? "" : ", half duplex",
                               link.shared ? ", shared" : "");
    report_.seed = laboratory_.seed;
    report_.other_machine = laboratory_.other_machine;
    std::set<std::string> seen; // cpu:0 twice has its own cores each time, or the session says so
    for (const std::string& name : report_.devices)
      if (!seen.insert(name).second && !name.starts_with("cpu:"))
        add_banner(report_, fmt::format("logical devices share `{}`: what they take together "
                                        "tells of no speed-up",
                                        name));
  }

  /// `single` first: the others are compared with it.
  std::vector<std::string> names() const {
    std::vector<std::string> names = {"single"};
    if (!laboratory_.strategies.empty()) {
      for (const std::string& name : laboratory_.strategies)
        if (name != "single")
          names.push_back(name);
      return names;
    }
    for (const NamedStrategy& named : named_strategies())
      if (named.name != "single")
        names.push_back(named.name);
    names.emplace_back(found_strategy);
    return names;
  }

  Strategy strategy(const std::string& name) {
    if (name != found_strategy)
      return resolve_strategy(name, source_.network, devices(), options_.batch);
    FoundStrategy found = find_strategy(source_.network, options_, laboratory_);
    report_.choices = std::move(found.choices);
    report_.search_seconds = found.seconds;
    if (found.bounded_by_memory)
      report_.notes.emplace_back(
          "the fastest steps do not fit into the devices' memory; the search went on among those "
          "that hold less, counted as if no two values shared memory, and may miss one that fits");
    return std::move(found.strategy);
  }

  static std::string doc_of(const std::string& name) {
    for (const NamedStrategy& named : named_strategies())
      if (named.name == name)
        return named.doc;
    return name == found_strategy ? "what the search found" : "a strategy file";
  }

  /// A strategy that has no such name at all is a mistake; one that does not suit is a finding.
  void predict(const std::string& name) {
    say(fmt::format("predicting {}", name));
    StrategyReport row;
    row.name = name, row.doc = doc_of(name);
    const bool bundled = name == found_strategy ||
                         std::any_of(named_strategies().begin(), named_strategies().end(),
                                     [&](const NamedStrategy& n) { return n.name == name; });
    try {
      Strategy found = strategy(name);
      PredictedStep step = predict_step(setup(), found);
      if (std::optional<MemoryLack> lack = memory_lack(setup(), step)) {
        row.error = lack->text(); // what does not fit is not run, and does not count as fast
      } else {
        if (laboratory_.measure_kernels) {
          measure_kernels(found, name);
          step = predict_step(setup(), found);
        }
        fill(row, step, simulate(step.schedule));
        found.name = name;
        strategies_.push_back({name, std::move(found), std::move(step)});
      }
    } catch (const UserError& error) {
      if (!bundled)
        throw;
      row.error = without_mark(error.what());
    }
    report_.strategies.push_back(std::move(row));
  }

  void fill(StrategyReport& row, const PredictedStep& step, const StepTimes& times) const {
    const size_t count = step.schedule.devices.size();
    row.predicted_ms = ms(step.additive_seconds);
    row.simulated_ms = ms(times.seconds);
    row.peak_bytes_per_device = step.peak_bytes;
    row.drawing = draw(step.strategy);
    row.file = print(step.strategy);
    row.micro_batches = micro_batch_count(step.strategy, report_.batch, options_.exact);
    row.link_bytes.assign(count, std::vector<int64_t>(count, 0));
    for (size_t e = 0; e < step.exchanges.size(); ++e) {
      const Exchange& exchange = step.exchanges[e];
      int64_t all = 0;
      for (size_t from = 0; from < count; ++from)
        for (size_t to = 0; to < count; ++to) {
          row.link_bytes[from][to] += step.schedule.exchanges[e][from][to];
          all += step.schedule.exchanges[e][from][to];
        }
      if (all > 0)
        row.exchanges.push_back({exchange.name, std::string(to_string(exchange.kind())),
                                 describe(exchange.from, exchange.type.shape),
                                 describe(exchange.to, exchange.type.shape), all});
    }
    row.bytes_sent_per_device = sums_of_rows(row.link_bytes);
    for (size_t d = 0; d < count; ++d) {
      row.busy_ms.push_back(ms(times.busy[d]));
      row.exposed_ms.push_back(ms(times.exposed[d]));
      for (size_t t = 0; t < step.schedule.devices[d].size(); ++t)
        row.predicted_timeline.push_back(span_of(step, times, d, t));
    }
    fill_layers(row, step);
  }

  static TimelineSpan span_of(const PredictedStep& step, const StepTimes& times, size_t device,
                              size_t task) {
    const StepTask& of = step.schedule.devices[device][task];
    TimelineSpan span{static_cast<int>(device),
                      step.is_exchange(device, task),
                      of.name,
                      ms(times.tasks[device][task].begin),
                      ms(times.tasks[device][task].end),
                      0};
    if (of.exchange >= 0)
      for (size_t peer = 0; peer < step.schedule.devices.size(); ++peer) {
        const auto& bytes = step.schedule.exchanges[static_cast<size_t>(of.exchange)];
        span.bytes += bytes[device][peer] + bytes[peer][device];
      }
    return span;
  }

  /// As SVG; nothing without Graphviz. Of micro-batches, which all look alike, the step that does
  /// them at once.
  std::string draw(Strategy strategy) const {
    if (!graphviz_available())
      return "";
    strategy.micro_batches = {};
    TemporaryDirectory folder("netc-drawing");
    render_dot(partition_dot(uncut_, uncut_.cut(strategy), report_.devices), "svg",
               folder.path() / "step.svg");
    return read_text(folder.path() / "step.svg").value_or("");
  }

  /// Compute and exchanges by the layers that strategies speak of; others count to the one above.
  void fill_layers(StrategyReport& row, const PredictedStep& step) const {
    std::map<std::string, size_t> line_of;
    for (const StrategyLayer& layer : layers_) {
      if (layer.kind != StrategyLayer::Kind::other || row.layers.empty()) {
        auto cut = step.strategy.layers.find(layer.name);
        const bool named = cut != step.strategy.layers.end();
        row.layers.push_back({layer.name, describe(named ? cut->second : LayerCut{}), 0, 0, 0});
      }
      line_of[layer.name] = row.layers.size() - 1;
    }
    auto line = [&](const std::string& label) -> LayerReport& {
      auto it = line_of.find(label.substr(0, label.find(": ")));
      return row.layers[it == line_of.end() ? 0 : it->second];
    };
    std::vector<bool> seen(step.exchanges.size());
    for (size_t d = 0; d < step.schedule.devices.size(); ++d) {
      std::map<LayerReport*, double> seconds;
      for (size_t t = 0; t < step.schedule.devices[d].size(); ++t) {
        const StepTask& task = step.schedule.devices[d][t];
        const int exchange = step.programs[d].steps[t].exchange;
        if (exchange < 0) {
          seconds[&line(task.name)] += task.seconds;
        } else if (const size_t e = static_cast<size_t>(exchange); !seen[e]) {
          seen[e] = true;
          Traffic traffic = traffic_of(step.exchanges[e]);
          line(task.name).exchange_ms += ms(exchange_seconds(traffic, machine()));
          line(task.name).bytes_sent += traffic.all_bytes();
        }
      }
      for (const auto& [layer, sum] : seconds)
        layer->compute_ms = std::max(layer->compute_ms, ms(sum));
    }
  }

  const NetworkSource& source_;
  const CompileOptions& options_;
  const LaboratoryOptions& laboratory_;
  const UncutStep uncut_;
  const std::vector<StrategyLayer> layers_;
  PartitionReport report_;
  std::vector<StrategyCase> strategies_; ///< Those that suit the network.
};

} // namespace

PartitionReport explore_partitions(const NetworkSource& source, const CompileOptions& options,
                                   const LaboratoryOptions& laboratory) {
  return Laboratory(source, options, laboratory).run();
}

} // namespace netc
