#pragma once
// The learning rate during a run, as ScheduleSpec describes it.

#include "ir/recipe.h"

#include <string>
#include <string_view>

namespace netc {

/// The learning rate of a run: a pure function of the epoch for `constant` and `steps`; for
/// `plateau` it depends on the validation errors observed so far.
///
/// `plateau` is the rule of Krizhevsky, Sutskever, Hinton 2012, section 5: divide the rate by 10
/// when the validation error stops improving with the current rate, three times before the end. An
/// error improves when it is below the best one *at the current rate* by more than
/// `least_improvement`; after `patience` epochs without that the rate drops and the best is
/// forgotten. The plateau after the last drop finishes the run. A NaN never improves.
class LearningRate {
public:
  /// Fraction of wrong images by which an error must fall to count: 5 images of 50,000.
  static constexpr double least_improvement = 1e-4;

  /// What an observation led to.
  enum class Outcome { kept, dropped, finished };

  /// `base` is OptimizerSpec::rate.
  LearningRate(double base, ScheduleSpec spec);

  /// The rate of the update that begins at `epoch`, epochs done so far as a fraction; multipliers
  /// of single parameters not included.
  double rate(double epoch) const;

  /// Tells the validation error (fraction 0..1, top-1) at the end of an epoch. Always `kept` unless
  /// the schedule is `plateau`; `finished` stays `finished`.
  Outcome observe(double validation_error);

  /// Whether a plateau has ended the run; kept in the state.
  bool finished() const { return finished_; }

  /// The whole state in one canonical line, for checkpoints: `plateau drops=1 waited=2 best=0.41
  /// finished=0`; other kinds have their name only.
  std::string state() const;

  /// Restores state(); UserError when the text is not a state of this kind of schedule.
  void restore(std::string_view state);

private:
  double base_;
  ScheduleSpec spec_;
  int drops_ = 0;
  int waited_ = 0; ///< Epochs since the last improvement.
  double best_;    ///< At the current rate; infinite before the first observation.
  bool finished_ = false;
};

} // namespace netc
