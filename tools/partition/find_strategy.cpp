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
#include <optional>

namespace netc {

namespace {

/// How many of the cheapest assignments are simulated.
constexpr int candidates_at_once = 16;
/// Where none of them fits into memory: by which factor the next ones hold less, at least.
constexpr double slowest_shrinking = 1.05;

StepCosts costs_of(const MachineProfile& machine, const MeasuredTimes& times) {
  return {[&](const Node& node, int device) {
            return node_seconds(node, machine.devices[static_cast<size_t>(device)], &times);
          },
          [&](const Exchange& exchange) { return exchange_seconds(exchange, machine); }};
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
    cell.why = fmt::format("no step with it keeps within the {} MB of the fullest device that "
                           "the search may count, as if no two values shared memory",
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

/// The fastest of the strategies that are tried, of those that fit into the devices' memory.
class Candidates {
public:
  Candidates(const Network& network, const CompileOptions& options,
             const LaboratoryOptions& laboratory)
      : network_(network), laboratory_(laboratory),
        setup_(prediction_setup(network, options, laboratory)) {}

  /// Returns by which factor the devices' memory would have to grow, at most 1 where it fits.
  double try_out(Strategy strategy) {
    PredictedStep step = predict_step(setup_, strategy);
    const Need need = need_of(step);
    if (need.fullness < least_.fullness)
      least_ = need;
    if (need.fullness <= 1)
      if (const double seconds = simulate(step.schedule).seconds; seconds < fastest_) {
        fastest_ = seconds;
        best_ = std::move(strategy);
        best_->name = found_strategy;
      }
    return need.fullness;
  }
  bool any() const { return best_.has_value(); }
  Strategy take() {
    if (best_)
      return std::move(*best_);
    user_error(fmt::format("no way to cut `{}` over {} devices that was tried fits into their "
                           "memory",
                           network_.recipe.name, laboratory_.devices.size()),
               fmt::format("the one that needs least takes {} MB of a device that may use "
                           "{} MB; a smaller batch or more devices need less",
                           report::megabytes(least_.bytes), report::megabytes(least_.limit)));
  }

private:
  /// The device with least room to spare.
  struct Need {
    int64_t bytes = 0, limit = 0;
    double fullness = 0; ///< 0: without a limit.
  };
  Need need_of(const PredictedStep& step) const {
    Need most;
    for (size_t device = 0; device < step.peak_bytes.size(); ++device)
      if (const int64_t limit = memory_limit_of(laboratory_, device); limit > 0) {
        const int64_t bytes = step.peak_bytes[device];
        const double fullness = static_cast<double>(bytes) / static_cast<double>(limit);
        if (fullness > most.fullness)
          most = {bytes, limit, fullness};
      }
    return most;
  }

  const Network& network_;
  const LaboratoryOptions& laboratory_;
  const PredictionSetup setup_;
  double fastest_ = std::numeric_limits<double>::infinity();
  std::optional<Strategy> best_;
  Need least_{.fullness = std::numeric_limits<double>::infinity()};
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
    double fullness = std::numeric_limits<double>::infinity();
    for (const SearchResult& candidate : found)
      fullness = std::min(fullness, candidates.try_out(strategy_of(problem, candidate.choices,
                                                                   std::string(found_strategy))));
    if (candidates.any() || last || found.empty())
      return;
    const double shrinks = std::max(fullness, slowest_shrinking);
    const auto next = static_cast<int64_t>(static_cast<double>(found[0].bytes) / shrinks);
    last = next <= least;
    problem.search.memory_limit = std::max(next, least);
  }
}

/// What overlaps may win, though it adds up to more.
void try_named(const Network& network, int devices, Candidates& candidates) {
  for (const NamedStrategy& named : named_strategies())
    try {
      candidates.try_out(resolve_strategy(named.name, network, devices));
    } catch (const UserError&) { // does not suit the network
    }
}

} // namespace

int64_t memory_limit_of(const LaboratoryOptions& laboratory, size_t device) {
  const int64_t has = laboratory.calibration->machine.devices.at(device).memory_bytes;
  const int64_t may = laboratory.memory_limit;
  return may > 0 && has > 0 ? std::min(may, has) : std::max(may, has);
}

PredictionSetup prediction_setup(const Network& network, const CompileOptions& options,
                                 const LaboratoryOptions& laboratory) {
  const Calibration& calibration = *laboratory.calibration;
  return {network, options, calibration.machine,
          [&calibration](int busy) { return times_for(calibration, busy); }};
}

FoundStrategy find_strategy(const Network& network, const CompileOptions& options,
                            const LaboratoryOptions& laboratory) {
  const UncutStep uncut = uncut_step(network, options);
  const int devices = static_cast<int>(laboratory.devices.size());
  const MeasuredTimes times = times_for(*laboratory.calibration, devices);
  const StepCosts costs = costs_of(laboratory.calibration->machine, times);
  auto start = std::chrono::steady_clock::now();
  PartitionProblem problem = partition_problem(uncut.whole(), devices, costs);
  const SearchResult cheapest = best(problem.search);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  NETC_CHECK(cheapest.feasible(), "no cut of `{}` is legal", network.recipe.name);
  Candidates candidates(network, options, laboratory);
  try_found(problem, candidates);
  try_named(network, devices, candidates);
  Strategy strategy = candidates.take();
  std::vector<LayerChoices> choices = explain_choices(problem, strategy);
  return {std::move(strategy), std::move(choices), took.count()};
}

} // namespace netc
