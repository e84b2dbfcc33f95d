#include "tools/partition/sweeps.h"

#include <cmath>
#include <limits>

namespace netc {

namespace {

constexpr double nothing = std::numeric_limits<double>::quiet_NaN();

/// Where the fastest line becomes another one, in proportion between the points.
void find_crossovers(Sweep& sweep) {
  auto fastest = [&](size_t point) {
    const Sweep::Line* best = nullptr;
    for (const Sweep::Line& line : sweep.lines)
      if (!std::isnan(line.ms[point]) && (!best || line.ms[point] < best->ms[point]))
        best = &line;
    return best;
  };
  for (size_t i = 1; i < sweep.points.size(); ++i) {
    const Sweep::Line *before = fastest(i - 1), *after = fastest(i);
    if (!before || !after || before == after || std::isnan(before->ms[i]) ||
        std::isnan(after->ms[i - 1]))
      continue;
    // Both are nearly straight between two points on logarithmic axes.
    const double ahead = std::log(after->ms[i - 1] / before->ms[i - 1]);
    const double behind = std::log(before->ms[i] / after->ms[i]);
    const double share = ahead + behind > 0 ? ahead / (ahead + behind) : 0.5;
    const double at = sweep.points[i - 1] * std::pow(sweep.points[i] / sweep.points[i - 1], share);
    sweep.crossovers.push_back({at, before->strategy, after->strategy});
  }
}

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

Sweep sweep_batch(const PredictionSetup& setup, const std::vector<StrategyCase>& cases) {
  Sweep sweep{"batch", {}, {}, {}};
  for (const StrategyCase& one : cases)
    sweep.lines.push_back({one.name, {}});
  for (int64_t batch = 16; batch <= 2048; batch *= 2) {
    PredictionSetup other = setup;
    other.options.batch = batch;
    sweep.points.push_back(static_cast<double>(batch));
    for (size_t i = 0; i < cases.size(); ++i)
      try {
        StepTimes times = simulate(predict_step(other, cases[i].strategy).schedule);
        sweep.lines[i].ms.push_back(times.seconds * 1e3);
      } catch (const UserError&) {
        sweep.lines[i].ms.push_back(nothing);
      }
  }
  return sweep;
}

} // namespace

std::vector<Sweep> sweep_bandwidth_and_batch(const PredictionSetup& setup,
                                             const std::vector<StrategyCase>& cases) {
  std::vector<Sweep> sweeps = {sweep_bandwidth(setup, cases), sweep_batch(setup, cases)};
  for (Sweep& sweep : sweeps)
    find_crossovers(sweep);
  return sweeps;
}

} // namespace netc
