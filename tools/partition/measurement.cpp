#include "tools/partition/measurement.h"

#include "ir/support/median.h"
#include "tools/partition/figures.h"
#include "tools/partition/trial.h"

#include <algorithm>
#include <cmath>

namespace netc {

namespace {

/// Predictions that are further off than this are worth a word.
constexpr double worth_a_note = 0.25;

/// A strategy that is measured.
struct Candidate {
  const Strategy& strategy;
  StrategyReport& row;
  /// Null before it is compiled, and once something failed.
  std::unique_ptr<StrategyTrial> trial{};
  std::vector<double> ms{}; ///< Of the steps that count.
};

class Measurement {
public:
  Measurement(const NetworkSource& source, const CompileOptions& options,
              const LaboratoryOptions& laboratory, PartitionReport& report)
      : source_(source), options_(options), laboratory_(laboratory), report_(report) {}

  void run(const std::vector<StrategyCase>& strategies) {
    for (const StrategyCase& one : strategies)
      candidates_.push_back({one.strategy, row_of(one.name)});
    for (Candidate& one : candidates_)
      attempt(one, "compiling " + one.row.name, [&] {
        one.trial =
            std::make_unique<StrategyTrial>(source_, options_, one.strategy, laboratory_.devices);
      });
    compare_weights();
    for (int round = 0; round < laboratory_.rounds; ++round)
      for (Candidate& one : candidates_)
        if (one.trial)
          attempt(one,
                  fmt::format("measuring {}, round {} of {}", one.row.name, round + 1,
                              laboratory_.rounds),
                  [&] { measure_round(one, round); });
    for (Candidate& one : candidates_)
      if (one.trial)
        summarise(one);
  }

private:
  StrategyReport& row_of(const std::string& name) {
    return *std::find_if(report_.strategies.begin(), report_.strategies.end(),
                         [&](const StrategyReport& row) { return row.name == name; });
  }

  template <class Work> void attempt(Candidate& one, const std::string& what, Work work) {
    if (laboratory_.progress)
      laboratory_.progress(what);
    try {
      work();
    } catch (const RuntimeError& error) {
      fail(one,
           error.hint().empty() ? error.what() : fmt::format("{}; {}", error.what(), error.hint()));
    } catch (const UserError& error) {
      fail(one, error.what());
    }
  }

  void fail(Candidate& one, const std::string& why) {
    one.trial.reset();
    one.row.measured_timeline.clear();
    one.row.used_bytes_per_device.clear();
    report_.notes.push_back(fmt::format("`{}` could not be measured: {}", one.row.name, why));
  }

  /// With those of one device, if it could take part.
  void compare_weights() {
    if (candidates_.empty() || candidates_[0].row.name != "single" || !candidates_[0].trial)
      return;
    Candidate& single = candidates_[0];
    attempt(single, "comparing weights", [&] { train(*single.trial); });
    for (Candidate& one : candidates_)
      if (one.trial && single.trial)
        attempt(one, "comparing weights of " + one.row.name, [&] {
          if (&one != &single)
            train(*one.trial);
          one.row.max_weight_difference =
              largest_difference(single.trial->session(), one.trial->session());
          one.row.difference_steps = laboratory_.difference_steps;
          if (&one != &single)
            one.trial->close();
        });
    if (single.trial)
      single.trial->close();
  }

  void train(StrategyTrial& trial) const {
    trial.open(laboratory_.seed);
    for (int step = 0; step < laboratory_.difference_steps; ++step)
      trial.step(step);
  }

  /// One step to warm up, one that counts.
  void measure_round(Candidate& one, int round) {
    StrategyTrial& trial = *one.trial;
    trial.open(laboratory_.seed);
    trial.step(0);
    one.ms.push_back(trial.step(1) * 1e3);
    if (round == 0) {
      one.row.measured_timeline = trial.timeline(2);
      one.row.used_bytes_per_device = trial.device_bytes();
      for (const std::string& note : trial.session().notes())
        add_banner(report_, note);
    }
    trial.close();
  }

  void summarise(Candidate& one) {
    const auto [low, high] = std::minmax_element(one.ms.begin(), one.ms.end());
    one.row.measured = MeasuredTime{median(one.ms), *low, *high};
    if (std::optional<double> error = report::prediction_error(report_, one.row);
        error && std::abs(*error) > worth_a_note)
      report_.notes.push_back(
          fmt::format("the prediction for `{}` is {} off", one.row.name, report::percent(*error)));
  }

  const NetworkSource& source_;
  const CompileOptions& options_;
  const LaboratoryOptions& laboratory_;
  PartitionReport& report_;
  std::vector<Candidate> candidates_;
};

} // namespace

void measure_strategies(const NetworkSource& source, const CompileOptions& options,
                        const LaboratoryOptions& laboratory,
                        const std::vector<StrategyCase>& strategies, PartitionReport& report) {
  Measurement(source, options, laboratory, report).run(strategies);
}

} // namespace netc
