#include "tools/partition/laboratory.h"

#include "ir/support/files.h"
#include "passes/partition/strategies.h"
#include "tools/driver/strategy.h"
#include "tools/driver/temporary_directory.h"
#include "tools/partition/drawing.h"
#include "tools/partition/figures.h"
#include "tools/partition/predict.h"
#include "tools/partition/strategy_times.h"
#include "tools/partition/sweeps.h"
#include "tools/partition/trial.h"
#include "tools/viz/render.h"

#include <algorithm>
#include <cmath>

namespace netc {

namespace {

/// Predictions that are further off than this are worth a word.
constexpr double worth_a_note = 0.25;

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
      measure();
    choose_best();
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
  void measure_kernels(const Strategy& strategy) {
    if (!laboratory_.measure_kernels)
      return;
    StepsToMeasure steps{source_, options_, laboratory_.devices, 3};
    steps.options.strategy = strategy;
    measure_strategy(steps, *laboratory_.calibration);
  }

  int devices() const { return static_cast<int>(laboratory_.devices.size()); }

  void fill_header() {
    report_.network = source_.network.recipe.name;
    report_.batch = options_.batch > 0 ? options_.batch : source_.network.recipe.train.batch;
    report_.math = options_.exact ? "exact" : "fast";
    for (const DeviceSpec& device : laboratory_.devices)
      report_.devices.push_back(device.name);
    report_.machine = machine().name;
    const LinkProfile& link = machine().link;
    report_.link = fmt::format("{:.3g} GB/s, {:.3g} us{}{}", link.bytes_per_second / 1e9,
                               link.latency_seconds * 1e6, link.full_duplex ? "" : ", half duplex",
                               link.shared ? ", shared" : "");
    report_.seed = laboratory_.seed;
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
    names.push_back("auto");
    return names;
  }

  Strategy strategy(const std::string& name) {
    if (name != "auto")
      return resolve_strategy(name, source_.network, devices());
    FoundStrategy found = find_strategy(source_.network, options_, laboratory_);
    report_.choices = std::move(found.choices);
    report_.search_seconds = found.seconds;
    return std::move(found.strategy);
  }

  static std::string doc_of(const std::string& name) {
    for (const NamedStrategy& named : named_strategies())
      if (named.name == name)
        return named.doc;
    return name == "auto" ? "what the search found" : "a strategy file";
  }

  /// A strategy that has no such name at all is a mistake; one that does not suit is a finding.
  void predict(const std::string& name) {
    say(fmt::format("predicting {}", name));
    StrategyReport row;
    row.name = name, row.doc = doc_of(name);
    const bool bundled =
        name == "auto" || std::any_of(named_strategies().begin(), named_strategies().end(),
                                      [&](const NamedStrategy& n) { return n.name == name; });
    try {
      Strategy found = strategy(name);
      measure_kernels(found);
      PredictedStep step = predict_step(setup(), found);
      StepTimes times = simulate(step.schedule);
      fill(row, step, times);
      row.drawing = draw(found);
      row.file = print(found);
      found.name = name;
      check_room(row);
      strategies_.push_back({name, std::move(found), std::move(step)});
    } catch (const UserError& error) {
      if (!bundled)
        throw;
      row.error = error.what();
    }
    report_.strategies.push_back(std::move(row));
  }

  /// What does not fit is not run, and does not count as fast.
  void check_room(const StrategyReport& row) const {
    const auto& bytes = row.peak_bytes_per_device;
    const int64_t most = *std::max_element(bytes.begin(), bytes.end());
    if (laboratory_.memory_limit > 0 && most > laboratory_.memory_limit)
      user_error(fmt::format("needs {} MB on one device, the limit is {} MB",
                             report::megabytes(most), report::megabytes(laboratory_.memory_limit)));
  }

  void fill(StrategyReport& row, const PredictedStep& step, const StepTimes& times) const {
    const size_t count = step.schedule.devices.size();
    row.predicted_ms = ms(step.additive_seconds);
    row.simulated_ms = ms(times.seconds);
    row.peak_bytes_per_device = step.peak_bytes;
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
                      of.exchange >= 0,
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

  /// As SVG; nothing without Graphviz, or of micro-batches, whose repetitions nobody could read.
  std::string draw(const Strategy& strategy) const {
    if (!graphviz_available() || strategy.micro_batches.count > 1)
      return "";
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
        row.layers.push_back(
            {layer.name, named ? std::string(to_string(cut->second.cut)) : "follow", 0, 0, 0});
      }
      line_of[layer.name] = row.layers.size() - 1;
    }
    auto line = [&](const std::string& label) -> LayerReport& {
      auto it = line_of.find(label.substr(0, label.find(": ")));
      return row.layers[it == line_of.end() ? 0 : it->second];
    };
    std::vector<bool> seen(step.exchanges.size());
    for (const auto& tasks : step.schedule.devices) {
      std::map<LayerReport*, double> seconds;
      for (const StepTask& task : tasks)
        if (task.exchange < 0) {
          seconds[&line(task.name)] += task.seconds;
        } else if (const size_t e = static_cast<size_t>(task.exchange); !seen[e]) {
          seen[e] = true;
          Traffic traffic = traffic_of(step.exchanges[e]);
          line(task.name).exchange_ms += ms(exchange_seconds(traffic, machine()));
          line(task.name).bytes_sent += traffic.all_bytes();
        }
      for (const auto& [layer, sum] : seconds)
        layer->compute_ms = std::max(layer->compute_ms, ms(sum));
    }
  }

  /// Rounds over all strategies, so that a noisy moment meets all of them.
  void measure() {
    std::vector<std::unique_ptr<Trial>> trials;
    for (const StrategyCase& one : strategies_) {
      say(fmt::format("compiling {}", one.name));
      trials.push_back(
          std::make_unique<Trial>(source_, options_, one.strategy, laboratory_.devices));
    }
    if (!trials.empty())
      compare_weights(trials);
    for (int round = 0; round < laboratory_.rounds; ++round)
      for (size_t i = 0; i < trials.size(); ++i) {
        say(fmt::format("measuring {}, round {} of {}", strategies_[i].name, round + 1,
                        laboratory_.rounds));
        measure_round(*trials[i], row_of(strategies_[i].name), round);
      }
    for (size_t i = 0; i < trials.size(); ++i)
      summarise(*trials[i], row_of(strategies_[i].name));
  }

  StrategyReport& row_of(const std::string& name) {
    return *std::find_if(report_.strategies.begin(), report_.strategies.end(),
                         [&](const StrategyReport& row) { return row.name == name; });
  }

  /// One step to warm up, one that counts.
  void measure_round(Trial& trial, StrategyReport& row, int round) {
    trial.open(laboratory_.seed);
    trial.step(0);
    seconds_[&trial].push_back(trial.step(1));
    if (round == 0) {
      row.measured_timeline = trial.timeline(2);
      row.used_bytes_per_device = trial.device_bytes();
      for (const std::string& note : trial.session().notes())
        report_.banner = note;
    }
    trial.close();
  }

  /// With those of one device, if it could take part.
  void compare_weights(std::vector<std::unique_ptr<Trial>>& trials) {
    if (strategies_[0].name != "single")
      return;
    Trial& single = *trials[0];
    auto train = [&](Trial& trial) {
      trial.open(laboratory_.seed);
      for (int step = 0; step < laboratory_.difference_steps; ++step)
        trial.step(step);
    };
    say("comparing weights");
    train(single);
    for (size_t i = 0; i < trials.size(); ++i) {
      StrategyReport& row = row_of(strategies_[i].name);
      if (i > 0)
        train(*trials[i]);
      row.max_weight_difference = largest_difference(single.session(), trials[i]->session());
      row.difference_steps = laboratory_.difference_steps;
      if (i > 0)
        trials[i]->close();
    }
    single.close();
  }

  void summarise(const Trial& trial, StrategyReport& row) {
    std::vector<double>& seconds = seconds_[&trial];
    std::sort(seconds.begin(), seconds.end());
    row.measured =
        MeasuredTime{ms(seconds[seconds.size() / 2]), ms(seconds.front()), ms(seconds.back())};
    if (std::optional<double> error = report::prediction_error(row);
        error && std::abs(*error) > worth_a_note)
      report_.notes.push_back(
          fmt::format("the prediction for `{}` is {} off", row.name, report::percent(*error)));
  }

  void choose_best() {
    const StrategyReport* best = nullptr;
    for (const StrategyReport& row : report_.strategies)
      if (report::possible(row) && (!best || report::step_ms(row) < report::step_ms(*best)))
        best = &row;
    if (best)
      report_.best = best->name;
  }

  const NetworkSource& source_;
  const CompileOptions& options_;
  const LaboratoryOptions& laboratory_;
  const UncutStep uncut_;
  const std::vector<StrategyLayer> layers_;
  PartitionReport report_;
  std::vector<StrategyCase> strategies_; ///< Those that suit the network.
  std::map<const Trial*, std::vector<double>> seconds_;
};

} // namespace

PartitionReport explore_partitions(const NetworkSource& source, const CompileOptions& options,
                                   const LaboratoryOptions& laboratory) {
  return Laboratory(source, options, laboratory).run();
}

} // namespace netc
