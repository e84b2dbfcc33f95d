#include "runtime/train/schedule.h"

#include "ir/support/diagnostics.h"
#include "runtime/atomic_file.h"
#include "runtime/train/numbers.h"

#include <algorithm>
#include <limits>
#include <optional>

namespace netc {

namespace {

constexpr double no_error_yet = std::numeric_limits<double>::infinity();

std::string_view kind_name(ScheduleSpec::Kind kind) {
  switch (kind) {
  case ScheduleSpec::Kind::constant:
    return "constant";
  case ScheduleSpec::Kind::steps:
    return "steps";
  case ScheduleSpec::Kind::plateau:
    return "plateau";
  }
  return "?";
}

} // namespace

LearningRate::LearningRate(double base, ScheduleSpec spec)
    : base_(base), spec_(std::move(spec)), best_(no_error_yet) {}

double LearningRate::rate(double epoch) const {
  int drops = drops_;
  if (spec_.kind == ScheduleSpec::Kind::steps)
    drops = static_cast<int>(
        std::count_if(spec_.at.begin(), spec_.at.end(), [&](double at) { return at <= epoch; }));
  double rate = base_;
  for (int i = 0; i < drops; ++i) // Not pow(), whose last bit differs between systems.
    rate *= spec_.factor;
  return rate;
}

LearningRate::Outcome LearningRate::observe(double validation_error) {
  if (finished_)
    return Outcome::finished;
  if (spec_.kind != ScheduleSpec::Kind::plateau)
    return Outcome::kept;
  if (validation_error < best_ - least_improvement) {
    best_ = validation_error;
    waited_ = 0;
    return Outcome::kept;
  }
  if (++waited_ < spec_.patience)
    return Outcome::kept;
  waited_ = 0;
  best_ = no_error_yet;
  if (drops_ == spec_.drops) {
    finished_ = true;
    return Outcome::finished;
  }
  ++drops_;
  return Outcome::dropped;
}

std::string LearningRate::state() const {
  if (spec_.kind != ScheduleSpec::Kind::plateau)
    return std::string(kind_name(spec_.kind));
  return fmt::format("plateau drops={} waited={} best={} finished={}", drops_, waited_,
                     number_text(best_), finished_ ? 1 : 0);
}

void LearningRate::restore(std::string_view state) {
  LearningRate restored(base_, spec_);
  bool plateau = spec_.kind == ScheduleSpec::Kind::plateau;
  if (plateau) {
    std::string_view rest = state;
    auto field = [&](std::string_view label) {
      size_t begin = rest.find(label);
      if (begin == rest.npos)
        return std::string_view{};
      rest = rest.substr(begin + label.size());
      return rest.substr(0, rest.find(' '));
    };
    restored.drops_ = static_cast<int>(parse_int(field(" drops=")).value_or(0));
    restored.waited_ = static_cast<int>(parse_int(field(" waited=")).value_or(0));
    restored.best_ = parse_double(field(" best=")).value_or(no_error_yet);
    restored.finished_ = field(" finished=") == "1";
  }
  // What does not print back to the same text was not a state of this schedule.
  if (restored.state() != state || restored.drops_ < 0 || restored.waited_ < 0 ||
      (plateau && restored.drops_ > spec_.drops))
    user_error(fmt::format("the schedule state `{}` does not belong to a `{}` schedule",
                           printable(state), kind_name(spec_.kind)),
               "resume with the schedule that the run began with");
  *this = std::move(restored);
}

} // namespace netc
