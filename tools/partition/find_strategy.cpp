// The strategy `auto`: the exact search by the additive model, its best candidates simulated.

#include "passes/partition/problem.h"
#include "passes/partition/strategies.h"
#include "tools/driver/strategy.h"
#include "tools/partition/laboratory.h"
#include "tools/partition/predict.h"
#include "tools/partition/uncut.h"

#include <chrono>
#include <cmath>

namespace netc {

namespace {

/// How many of the cheapest assignments are simulated.
constexpr int candidates = 16;

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

/// What each choice of a layer would come to, all others at their best.
std::vector<LayerChoices> explain_choices(const PartitionProblem& problem,
                                          const SearchResult& chosen) {
  std::vector<LayerChoices> matrix;
  for (size_t layer = 0; layer < problem.search.layers.size(); ++layer) {
    const SearchLayer& searched = problem.search.layers[layer];
    LayerChoices row{searched.name, "", {}};
    std::vector<SearchResult> forced = explain(problem.search, static_cast<int>(layer));
    for (size_t c = 0; c < searched.choices.size(); ++c) {
      const Choice& choice = searched.choices[c];
      row.choices.push_back(
          {choice.name, forced[c].seconds * 1e3, choice.seconds * 1e3, 0, choice.bytes, ""});
      if (chosen.feasible() && chosen.choices[layer] == static_cast<int>(c))
        row.chosen = choice.name;
    }
    for (const PartitionProblem::Refusal& refusal : problem.refused)
      if (refusal.layer == searched.name)
        row.choices.push_back({refusal.cut, std::numeric_limits<double>::infinity(), 0, 0, 0,
                               reason_of(refusal.why)});
    matrix.push_back(std::move(row));
  }
  return matrix;
}

} // namespace

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
  PartitionProblem problem =
      partition_problem({uncut.graph, uncut.places, uncut.context.origins}, devices, costs);
  problem.search.memory_limit = laboratory.memory_limit;
  std::vector<SearchResult> found = k_best(problem.search, candidates);
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  if (found.empty()) {
    const int64_t least = best(problem.search).bytes;
    auto megabytes = [](int64_t bytes) { return static_cast<double>(bytes) / 1e6; };
    user_error(
        fmt::format("no way to cut `{}` over {} devices keeps within {:.1f} MB of each",
                    network.recipe.name, devices, megabytes(laboratory.memory_limit)),
        fmt::format("by the search's bound, which lets no two values share memory, {:.1f} MB "
                    "are needed; a smaller batch or more devices need less",
                    megabytes(least)));
  }
  FoundStrategy result{{}, explain_choices(problem, found[0]), took.count()};
  const PredictionSetup setup = prediction_setup(network, options, laboratory);
  double fastest = std::numeric_limits<double>::infinity();
  auto try_out = [&](Strategy strategy) {
    const double seconds = simulate(predict_step(setup, strategy).schedule).seconds;
    if (seconds >= fastest)
      return;
    fastest = seconds;
    strategy.name = "auto";
    result.strategy = std::move(strategy);
  };
  for (const SearchResult& candidate : found)
    try_out(strategy_of(problem, candidate.choices, "auto"));
  for (const NamedStrategy& named : named_strategies()) // what overlaps may win, though it adds up
    try {                                               // to more
      try_out(resolve_strategy(named.name, network, devices));
    } catch (const UserError&) { // does not suit the network
    }
  return result;
}

} // namespace netc
