#include "tools/partition/strategy_times.h"

#include "runtime/train/feeds.h"
#include "tools/driver/random_batch.h"
#include "tools/driver/temporary_directory.h"
#include "tools/partition/step_times.h"

#include <sstream>

namespace netc {

namespace {

/// The devices' graphs of the training step, as they will be compiled.
std::vector<Graph> graphs_of(const StepsToMeasure& steps) {
  std::vector<Graph> graphs;
  std::ostringstream dump;
  for (int device = 0; device < static_cast<int>(steps.devices.size()); ++device)
    graphs.push_back(run_passes(steps.source.network, Mode::train, steps.options,
                                lowering_options(steps.options), dump, device)
                         .graph);
  return graphs;
}

MeasuredTimes measure(const StepsToMeasure& steps) {
  constexpr uint64_t seed = 1;
  constexpr double rate = 1e-6; // weights stay what they are
  const TemporaryDirectory folder("netc-calibrate");
  std::ostringstream dump;
  const Compiled compiled = compile_network(steps.source, steps.options, folder.path(), dump);
  Session session(compiled.plan, folder.path(), steps.devices);
  session.initialize(seed);
  const Batch batch = random_batch(compiled.plan, seed);
  int64_t next = 0;
  return measure_steps(session, "train", compiled_graphs(compiled.plan, folder.path(), "train"),
                       steps.seconds, [&] {
                         fill_feeds(session, "train", batch, {seed, next++, rate});
                       });
}

} // namespace

bool measure_strategy(const StepsToMeasure& steps, Calibration& calibration) {
  const std::vector<Graph> graphs = graphs_of(steps);
  const int busy = busy_devices(graphs);
  MeasuredTimes& known = calibration.times[busy];
  if (knows(known, graphs))
    return false;
  MeasuredTimes measured = measure(steps);
  std::vector<DeviceProfile>& devices = calibration.machine.devices;
  measured.reached = reached_shares(graphs, measured, devices[0]); // they are alike
  merge(known, measured);
  if (busy == static_cast<int>(devices.size()))
    for (const auto& [name, shares] : known.reached)
      for (DeviceProfile& device : devices)
        device.operators[name] = std::stod(fmt::format("{:.4g}", mean_share(shares)));
  return true;
}

} // namespace netc
