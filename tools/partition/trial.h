#pragma once
// Steps that really run: strategies compiled, loaded and measured beside each other.

#include "passes/partition/partition.h"
#include "runtime/data/loader.h"
#include "runtime/session.h"
#include "tools/driver/compile.h"
#include "tools/driver/temporary_directory.h"
#include "tools/partition/report.h"

#include <memory>

namespace netc {

/// A strategy's plan on the devices. The plan's folder goes with the object.
class StrategyTrial {
public:
  /// Compiles; `strategy` has as many devices as there are names.
  StrategyTrial(const NetworkSource& source, const CompileOptions& options,
                const Strategy& strategy, std::vector<DeviceSpec> devices);

  /// Loads the plan, if it is not loaded, and draws the state from `seed`.
  void open(uint64_t seed);
  void close();
  /// One training step on random images; its seconds.
  double step(int64_t number);
  /// One step with the times of all that devices do in it.
  std::vector<TimelineSpan> timeline(int64_t number);
  std::vector<int64_t> device_bytes() const;
  const Plan& plan() const { return compiled_.plan; }
  Session& session() { return *session_; }
  /// Seconds of all steps measured so far.
  const std::vector<double>& seconds() const { return seconds_; }

private:
  void prepare(int64_t number);

  TemporaryDirectory folder_;
  Compiled compiled_;
  std::vector<DeviceSpec> devices_;
  std::vector<LayerPlace> places_;
  Batch batch_;
  uint64_t seed_ = 0;
  std::unique_ptr<Session> session_;
  std::vector<double> seconds_;
};

/// The largest difference of a weight between two sessions of the same network; infinite where one
/// is no number.
double largest_difference(Session& a, Session& b);

} // namespace netc
