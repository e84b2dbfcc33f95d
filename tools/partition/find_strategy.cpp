// The strategy `auto`: the exact search by the additive model, its best candidates simulated.

#include "passes/partition/problem.h"
#include "passes/partition/strategies.h"
#include "tools/driver/strategy.h"
#include "tools/partition/figures.h"
#include "tools/partition/laboratory.h"
#include "tools/partition/predict.h"
#include "tools/partition/uncut.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <numeric>
#include <optional>

namespace netc {

namespace {

/// How many of the cheapest assignments are simulated.
constexpr int candidates_at_once = 16;
/// Where none of them fits into memory: by which factor the next ones hold less, at least.
constexpr double slowest_shrinking = 1.05;

/// The first device of each kind.
std::vector<int> kinds_of_devices(const MachineProfile& machine, int devices) {
  const auto begin = machine.devices.begin();
  std::vector<int> firsts;
  for (int d = 0; d < devices; ++d)
    if (std::find(begin, begin + d, machine.devices[static_cast<size_t>(d)]) == begin + d)
      firsts.push_back(d);
  return firsts;
}

StepCosts costs_of(const MachineProfile& machine, const MeasuredTimes& times, int devices) {
  return {[&](const Node& node, int device) {
            return node_seconds(node, machine.devices[static_cast<size_t>(device)], &times);
          },
          [&](const Exchange& exchange) { return exchange_seconds(exchange, machine); },
          kinds_of_devices(machine, devices)};
}

/// The first note of a diagnostic, which says why; else its first line.
std::string reason_of(const std::string& diagnostic) {
  const std::string mark = "note: ";
  size_t begin = diagnostic.find(mark);
  begin = begin == diagnostic.npos ? 0 : begin + mark.size();
  return diagnostic.substr(begin, diagnostic.find('\n', begin) - begin);
}

/// Exchanges that a layer's cut brings: its own, and those with the layers beside it.
double exchanges_of_layer(const PartitionProblem& problem, int layer,
                          const std::vector<int>& choices) {
  auto choice_of = [&](int of) { return static_cast<size_t>(choices[static_cast<size_t>(of)]); };
  double seconds = problem.exchange_seconds[static_cast<size_t>(layer)][choice_of(layer)];
  for (const SearchEdge& edge : problem.search.edges)
    if (edge.from == layer || edge.to == layer)
      seconds += edge.seconds[choice_of(edge.from)][choice_of(edge.to)];
  return seconds;
}

/// One choice of a layer, and the best step that has it.
LayerChoices::Choice explain_choice(const PartitionProblem& problem, int layer, size_t choice,
                                    const SearchResult& forced) {
  const Choice& searched = problem.search.layers[static_cast<size_t>(layer)].choices[choice];
  LayerChoices::Choice cell{.cut = searched.name, .bytes = searched.bytes};
  cell.total_ms = forced.seconds * 1e3;
  if (forced.feasible()) {
    cell.compute_ms =
        (searched.seconds - problem.exchange_seconds[static_cast<size_t>(layer)][choice]) * 1e3;
    cell.exchange_ms = exchanges_of_layer(problem, layer, forced.choices) * 1e3;
  } else if (forced.bytes < 0) {
    cell.why = "no step has it";
  } else {
    cell.why = fmt::format("the search, which counts {} MB of the fullest device at most, as if no "
                           "two values shared memory, has no step with it",
                           report::megabytes(problem.search.memory_limit));
  }
  return cell;
}

/// What each choice of a layer would come to, all others at their best.
std::vector<LayerChoices> explain_choices(const PartitionProblem& problem, const Strategy& chosen) {
  std::vector<LayerChoices> matrix;
  for (size_t layer = 0; layer < problem.search.layers.size(); ++layer) {
    const SearchLayer& searched = problem.search.layers[layer];
    LayerChoices row{searched.name, "", {}};
    std::vector<SearchResult> forced = explain(problem.search, static_cast<int>(layer));
    auto cut = chosen.layers.find(searched.name);
    for (size_t c = 0; c < searched.choices.size(); ++c) {
      row.choices.push_back(explain_choice(problem, static_cast<int>(layer), c, forced[c]));
      if (cut != chosen.layers.end() && cut->second == problem.cuts[layer][c])
        row.chosen = searched.choices[c].name;
    }
    for (const PartitionProblem::Refusal& refusal : problem.refused)
      if (refusal.layer == searched.name)
        row.choices.push_back({refusal.cut, std::numeric_limits<double>::infinity(), 0, 0, 0,
                               reason_of(refusal.why)});
    matrix.push_back(std::move(row));
  }
  return matrix;
}

/// The fastest of the strategies that are tried, of those that fit into the devices' memory; of
/// equally fast ones the one that needs least of it.
class Candidates {
public:
  Candidates(const Network& network, const CompileOptions& options,
             const LaboratoryOptions& laboratory)
      : name_(network.recipe.name), devices_(laboratory.devices.size()),
        setup_(prediction_setup(network, options, laboratory)) {}

  /// Returns by which factor the devices' memory would have to grow; 1 where it fits.
  double try_out(Strategy strategy) {
    const PredictedStep step = predict_step(setup_, strategy);
    if (const std::optional<MemoryLack> lack = memory_lack(setup_, step)) {
      const double factor = static_cast<double>(lack->bytes) / static_cast<double>(lack->limit);
      if (factor < least_factor_)
        least_factor_ = factor, least_ = *lack;
      return factor;
    }
    const double seconds = simulate(step.schedule).seconds;
    const int64_t bytes =
        std::accumulate(step.peak_bytes.begin(), step.peak_bytes.end(), int64_t{0});
    const bool as_fast = seconds <= seconds_ * (1 + rounding);
    if (seconds < seconds_ * (1 - rounding) || (as_fast && bytes < bytes_)) {
      seconds_ = seconds, bytes_ = bytes;
      best_ = std::move(strategy);
      best_->name = found_strategy;
    }
    return 1;
  }
  bool any() const { return best_.has_value(); }
  Strategy take() {
    if (best_)
      return std::move(*best_);
    user_error(fmt::format("no way to cut `{}` over {} devices that was tried fits into their "
                           "memory",
                           name_, devices_),
               fmt::format("what comes closest {}; a smaller batch or more devices need less",
                           least_.text()));
  }

private:
  /// By which share times may differ and be the same.
  static constexpr double rounding = 1e-9;

  const std::string name_;
  const size_t devices_;
  const PredictionSetup setup_;
  std::optional<Strategy> best_;
  double seconds_ = std::numeric_limits<double>::infinity();
  int64_t bytes_ = 0;
  double least_factor_ = std::numeric_limits<double>::infinity();
  MemoryLack least_;
};

/// What the smallest step holds, by the search's count.
int64_t least_of_all(SearchProblem search) {
  search.memory_limit = 1;
  return best(search).bytes;
}

/// The search's cheapest assignments. Where none fits, the next ones must hold less. The search
/// counts what values hold that share no memory, so that devices may have more of it than memory.
void try_found(PartitionProblem& problem, Candidates& candidates) {
  const int64_t least = least_of_all(problem.search);
  for (bool last = false;;) {
    const std::vector<SearchResult> found = k_best(problem.search, candidates_at_once);
    double factor = std::numeric_limits<double>::infinity();
    for (const SearchResult& candidate : found)
      factor = std::min(factor, candidates.try_out(strategy_of(problem, candidate.choices,
                                                               std::string(found_strategy))));
    if (candidates.any() || last || found.empty())
      return;
    const double shrinks = std::max(factor, slowest_shrinking);
    const auto next = static_cast<int64_t>(static_cast<double>(found[0].bytes) / shrinks);
    last = next <= least;
    problem.search.memory_limit = std::max(next, least);
  }
}

/// What overlaps may win, though it adds up to more.
void try_named(const Network& network, int devices, int64_t batch, Candidates& candidates) {
  for (const NamedStrategy& named : named_strategies())
    try {
      candidates.try_out(resolve_strategy(named.name, network, devices, batch));
    } catch (const UserError&) { // does not suit the network
    }
}

} // namespace

PredictionSetup prediction_setup(const Network& network, const CompileOptions& options,
                                 const LaboratoryOptions& laboratory) {
  const Calibration& calibration = *laboratory.calibration;
  PredictionSetup setup{network, options, calibration.machine,
                        [&calibration](int busy) { return times_for(calibration, busy); }};
  for (const DeviceProfile& device : calibration.machine.devices) {
    const int64_t has = device.memory_bytes, may = laboratory.memory_limit;
    setup.memory_limits.push_back(may > 0 && has > 0 ? std::min(may, has) : std::max(may, has));
  }
  return setup;
}

FoundStrategy find_strategy(const Network& network, const CompileOptions& options,
                            const LaboratoryOptions& laboratory) {
  const UncutStep uncut = uncut_step(network, options);
  const int devices = static_cast<int>(laboratory.devices.size());
  const MeasuredTimes times = times_for(*laboratory.calibration, devices);
  const StepCosts costs = costs_of(laboratory.calibration->machine, times, devices);
  auto start = std::chrono::steady_clock::now();
  PartitionProblem problem = partition_problem(uncut.whole(), devices, costs);
  const SearchResult cheapest = best(problem.search);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  NETC_CHECK(cheapest.feasible(), "no cut of `{}` is legal", network.recipe.name);
  Candidates candidates(network, options, laboratory);
  try_found(problem, candidates);
  try_named(network, devices, options.batch, candidates);
  Strategy strategy = candidates.take();
  std::vector<LayerChoices> choices = explain_choices(problem, strategy);
  return {std::move(strategy), std::move(choices), took.count(), problem.search.memory_limit > 0};
}

} // namespace netc
