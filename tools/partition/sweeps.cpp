#include "tools/partition/sweeps.h"

#include "tools/driver/strategy.h"

#include <cmath>
#include <limits>
#include <set>

namespace netc {

namespace {

constexpr double nothing = std::numeric_limits<double>::quiet_NaN();

/// Between two points of a sweep lines are nearly straight on logarithmic axes. Shares of the way
/// between them are 0 to 1.
class Gap {
public:
  Gap(const Sweep& sweep, size_t before) : sweep_(sweep), before_(before) {}

  /// The lowest line where the gap begins; null if none crosses it.
  const Sweep::Line* first() const {
    const Sweep::Line* best = nullptr;
    for (const Sweep::Line& line : sweep_.lines)
      if (crosses(line) && (!best || at(line, 0) < at(*best, 0)))
        best = &line;
    return best;
  }
  /// The line that falls below `line` next, from `share` on, and where; null if none does.
  std::pair<const Sweep::Line*, double> next(const Sweep::Line& line, double share) const {
    std::pair<const Sweep::Line*, double> found{nullptr, 1};
    for (const Sweep::Line& other : sweep_.lines) {
      if (!crosses(other))
        continue;
      const double ahead = at(other, 0) - at(line, 0), behind = at(line, 1) - at(other, 1);
      const double meets = ahead / (ahead + behind);
      if (ahead + behind > rounding && meets >= share && meets < found.second)
        found = {&other, meets};
    }
    return found;
  }
  double point(double share) const {
    return sweep_.points[before_] *
           std::pow(sweep_.points[before_ + 1] / sweep_.points[before_], share);
  }

private:
  static constexpr double rounding = 1e-9;

  bool crosses(const Sweep::Line& line) const {
    return line.strategy != found_strategy && !std::isnan(line.ms[before_]) &&
           !std::isnan(line.ms[before_ + 1]);
  }
  double at(const Sweep::Line& line, size_t end) const { return std::log(line.ms[before_ + end]); }

  const Sweep& sweep_;
  const size_t before_;
};

Sweep sweep_bandwidth(const PredictionSetup& setup, const std::vector<StrategyCase>& cases) {
  Sweep sweep{"bandwidth", {}, {}, {}};
  for (const StrategyCase& one : cases)
    sweep.lines.push_back({one.name, {}});
  const double here = setup.machine.link.bytes_per_second;
  for (int step = -6; step <= 6; ++step) {
    sweep.points.push_back(here * std::pow(2.0, step));
    for (size_t i = 0; i < cases.size(); ++i) {
      StepSchedule schedule = cases[i].step.schedule;
      schedule.link.bytes_per_second = sweep.points.back();
      sweep.lines[i].ms.push_back(simulate(schedule).seconds * 1e3);
    }
  }
  return sweep;
}

/// Powers of two, and the batch that the rest of the report is about.
std::set<int64_t> batches_with(const PredictionSetup& setup) {
  std::set<int64_t> batches = {batch_of(setup.network, setup.options.batch)};
  for (int64_t power = 16; power <= 2048; power *= 2)
    batches.insert(power);
  return batches;
}

Sweep sweep_batch(const PredictionSetup& setup, const std::vector<StrategyCase>& cases) {
  Sweep sweep{"batch", {}, {}, {}};
  for (const StrategyCase& one : cases)
    sweep.lines.push_back({one.name, {}});
  for (int64_t batch : batches_with(setup)) {
    PredictionSetup other = setup;
    other.options.batch = batch;
    sweep.points.push_back(static_cast<double>(batch));
    for (size_t i = 0; i < cases.size(); ++i)
      try {
        const PredictedStep step = predict_step(other, cases[i].strategy);
        sweep.lines[i].ms.push_back(
            memory_lack(other, step) ? nothing : simulate(step.schedule).seconds * 1e3);
      } catch (const UserError&) {
        sweep.lines[i].ms.push_back(nothing);
      }
  }
  return sweep;
}

} // namespace

void find_crossovers(Sweep& sweep) {
  for (size_t i = 0; i + 1 < sweep.points.size(); ++i) {
    const Gap gap(sweep, i);
    const Sweep::Line* fastest = gap.first();
    double share = 0;
    while (fastest) {
      auto [other, meets] = gap.next(*fastest, share);
      if (other && meets > 0)
        sweep.crossovers.push_back({gap.point(meets), fastest->strategy, other->strategy});
      fastest = other, share = meets;
    }
  }
}

std::vector<Sweep> sweep_bandwidth_and_batch(const PredictionSetup& setup,
                                             const std::vector<StrategyCase>& cases) {
  std::vector<Sweep> sweeps = {sweep_bandwidth(setup, cases), sweep_batch(setup, cases)};
  for (Sweep& sweep : sweeps)
    find_crossovers(sweep);
  return sweeps;
}

} // namespace netc
