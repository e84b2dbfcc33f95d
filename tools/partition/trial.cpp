#include "tools/partition/trial.h"

#include "runtime/train/feeds.h"
#include "tools/driver/random_batch.h"
#include "tools/driver/strategy.h"
#include "tools/partition/predict.h"

#include <chrono>
#include <cmath>
#include <iostream>
#include <limits>

namespace netc {

namespace {

/// Small steps: weights change, and stay finite on random images.
constexpr double learning_rate = 1e-3;

CompileOptions with(CompileOptions options, const Strategy& strategy) {
  if (strategy.devices > 1) {
    options.strategy = strategy;
    options.remarks = false; // `single`, where it is tried, tells them once
  }
  return options;
}

} // namespace

StrategyTrial::StrategyTrial(const NetworkSource& source, const CompileOptions& options,
                             const Strategy& strategy, std::vector<DeviceSpec> devices)
    : folder_("netc-partition"),
      compiled_(compile_network(source, with(options, strategy), folder_.path(), std::cerr)),
      devices_(std::move(devices)), places_(places_of(source.network)),
      batch_(random_batch(compiled_.plan, 1)) {
  std::erase_if(compiled_.plan.programs,
                [](const Program& program) { return program.name != "train"; });
}

void StrategyTrial::open(uint64_t seed) {
  if (!session_)
    session_ = std::make_unique<Session>(compiled_.plan, compiled_.folder, devices_);
  seed_ = seed;
  session_->initialize(seed);
}

void StrategyTrial::close() {
  session_.reset();
}

void StrategyTrial::prepare(int64_t number) {
  fill_feeds(*session_, "train", batch_, {seed_, number, learning_rate});
}

double StrategyTrial::step(int64_t number) {
  prepare(number);
  auto start = std::chrono::steady_clock::now();
  session_->run("train");
  seconds_.push_back(
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  return seconds_.back();
}

std::vector<TimelineSpan> StrategyTrial::timeline(int64_t number) {
  prepare(number);
  session_->profile(true);
  session_->run("train");
  session_->profile(false);
  std::vector<TimelineSpan> spans;
  for (int device = 0; device < session_->device_count(); ++device) {
    const Program& program = *plan().find_program("train", device);
    std::span<const StepTime> times = session_->times("train", device);
    for (size_t i = 0; i < times.size(); ++i) {
      TimelineSpan span{device,
                        program.steps[i].exchange >= 0,
                        step_label(program.steps[i], places_),
                        times[i].begin * 1e3,
                        times[i].end * 1e3,
                        0};
      if (span.exchange) {
        auto bytes = bytes_sent(program.exchanges[static_cast<size_t>(program.steps[i].exchange)]);
        for (size_t d = 0; d < bytes.size(); ++d)
          span.bytes +=
              bytes[static_cast<size_t>(device)][d] + bytes[d][static_cast<size_t>(device)];
      }
      spans.push_back(std::move(span));
    }
  }
  return spans;
}

std::vector<int64_t> StrategyTrial::device_bytes() const {
  std::vector<int64_t> bytes;
  for (int device = 0; device < session_->device_count(); ++device)
    bytes.push_back(session_->device_bytes(device));
  return bytes;
}

double largest_difference(Session& a, Session& b) {
  double largest = 0;
  for (const StateInit& state : a.plan().state) {
    if (!state.trainable)
      continue;
    StateValues x = a.state(state.name), y = b.state(state.name);
    for (size_t i = 0; i < x.values.size(); ++i) {
      const double difference = std::abs(static_cast<double>(x.values[i]) - y.values[i]);
      if (!(difference <= largest)) // also where one is no number
        largest = std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference;
    }
  }
  return largest;
}

} // namespace netc
