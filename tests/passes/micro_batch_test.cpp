// Steps in micro-batches: their schedules, what they compute, and the memory they need.

#include "passes/partition/schedule.h"
#include "passes/partition/stages.h"
#include "tests/support/cut_steps.h"
#include "tests/support/partitioned.h"
#include "tests/support/random_network.h"
#include "tools/driver/compile.h"
#include "tools/driver/strategy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace netc::test {
namespace {

constexpr std::array schedules = {Schedule::gpipe, Schedule::one_forward_one_backward,
                                  Schedule::round_robin};

// ---- The order of tasks.

size_t place(const std::vector<StageTask>& tasks, const StageTask& task) {
  return static_cast<size_t>(std::find(tasks.begin(), tasks.end(), task) - tasks.begin());
}

TEST(Schedules, DoEveryTaskBehindWhatItNeeds) {
  for (Schedule schedule : schedules)
    for (int stages : {1, 2, 3, 5})
      for (int count : {1, 2, 3, 8}) {
        const std::vector<StageTask> tasks = schedule_tasks(schedule, stages, count, true);
        EXPECT_EQ(tasks.size(), static_cast<size_t>(2 * stages * count));
        for (int s = 0; s < stages; ++s)
          for (int m = 0; m < count; ++m) {
            const size_t forward = place(tasks, {s, m, false}), back = place(tasks, {s, m, true});
            EXPECT_LT(forward, back);
            EXPECT_LT(back, tasks.size());
            if (s > 0) {
              EXPECT_LT(place(tasks, {s - 1, m, false}), forward);
              EXPECT_LT(back, place(tasks, {s - 1, m, true}));
            }
          }
      }
}

/// How many micro-batches a stage has forward, but not yet back, at most.
int most_under_way(const std::vector<StageTask>& tasks, int stage) {
  int now = 0, most = 0;
  for (const StageTask& task : tasks)
    if (task.stage == stage) {
      now += task.backward ? -1 : 1;
      most = std::max(most, now);
    }
  return most;
}

TEST(Schedules, OneForwardOneBackwardHasAsManyUnderWayAsStagesBehind) {
  for (int stages : {1, 2, 4})
    for (int count : {1, 4, 8})
      for (int s = 0; s < stages; ++s) {
        auto most = [&](Schedule schedule) {
          return most_under_way(schedule_tasks(schedule, stages, count, true), s);
        };
        EXPECT_EQ(most(Schedule::one_forward_one_backward), std::min(count, stages - s));
        EXPECT_EQ(most(Schedule::gpipe), count);
      }
}

TEST(Schedules, StagesOverlap) {
  const std::vector<StageTask> tasks = schedule_tasks(Schedule::gpipe, 2, 2, true);
  const std::vector<StageTask> want = {{0, 0, false}, {1, 0, false}, {0, 1, false}, {1, 1, false},
                                       {1, 0, true},  {1, 1, true},  {0, 0, true},  {0, 1, true}};
  EXPECT_EQ(tasks, want);
}

TEST(Schedules, WithoutGradientsAllGoForward) {
  for (Schedule schedule : schedules)
    for (const StageTask& task : schedule_tasks(schedule, 3, 4, false))
      EXPECT_FALSE(task.backward);
}

// ---- Stages.

/// The most work of a stage, and the bytes moved; stages must ascend by at most one.
std::pair<int64_t, int64_t> cost(const std::vector<StageLayer>& layers,
                                 const std::vector<int>& stages) {
  std::map<int, int64_t> work;
  int64_t bytes = 0, most = 0;
  for (size_t i = 0; i < layers.size(); ++i) {
    most = std::max(most, work[stages[i]] += layers[i].work);
    if (i > 0 && stages[i] != stages[i - 1])
      bytes += layers[i - 1].bytes;
  }
  return {most, bytes};
}

std::pair<int64_t, int64_t> least_cost(const std::vector<StageLayer>& layers, int stages) {
  std::pair<int64_t, int64_t> least{INT64_MAX, 0};
  for (unsigned cuts = 0; cuts < 1u << (layers.size() - 1); ++cuts) {
    if (std::popcount(cuts) != stages - 1)
      continue;
    std::vector<int> assigned = {0};
    for (size_t i = 1; i < layers.size(); ++i)
      assigned.push_back(assigned.back() + static_cast<int>(cuts >> (i - 1) & 1));
    least = std::min(least, cost(layers, assigned));
  }
  return least;
}

TEST(Stages, AreAsGoodAsTheBestOfAll) {
  Random random(4);
  for (int round = 0; round < 200; ++round) {
    std::vector<StageLayer> layers(1 + random() % 9);
    for (StageLayer& layer : layers)
      layer = {static_cast<int64_t>(random() % 4 * (random() % 20)),
               static_cast<int64_t>(random() % 9)};
    for (int stages = 1; stages <= static_cast<int>(layers.size()); ++stages) {
      const std::vector<int> got = balanced_stages(layers, stages);
      ASSERT_EQ(got.size(), layers.size());
      EXPECT_EQ(got.back(), stages - 1);
      EXPECT_EQ(cost(layers, got), least_cost(layers, stages));
    }
  }
}

TEST(Stages, MoreThanLayers) {
  const std::vector<int> got = balanced_stages({{5, 1}, {5, 1}}, 4);
  ASSERT_EQ(got.size(), 2u);
  EXPECT_LT(got[0], got[1]);
  EXPECT_LT(got[1], 4);
}

// ---- Steps.

/// Dropout, groups, sums over rows, and a branch that reaches over stages.
constexpr const char* network_text = R"(name: micro
input: {channels: 3, height: 8, width: 8, scale: 0.01, stored: 10, crop: random, flip: true}
layers:
  - {name: conv1, type: conv2d, filters: 8, kernel: 3, pad: 1}
  - {name: relu1, type: relu}
  - {name: conv2, type: conv2d, filters: 8, kernel: 3, pad: 1, groups: 2}
  - {name: norm2, type: lrn, n: 3, k: 2, alpha: 0.1, beta: 0.75, alpha_over_n: false}
  - {name: both, type: add, from: [norm2, relu1]}
  - {name: pool2, type: max_pool2d, kernel: 3, stride: 2, rounding: ceil}
  - {name: fc3, type: linear, features: 16}
  - {name: drop3, type: dropout, rate: 0.25, mode: classic}
  - {name: fc4, type: linear, features: 8}
  - {name: loss, type: softmax_cross_entropy}
train: {batch: 16, optimizer: {rate: 0.01, momentum: 0.9, decay: 5e-4}}
)";

const Network& network() {
  static const Network network = network_of(network_text);
  return network;
}

std::string different(const Tensors& got, const Tensors& want) {
  if (got.size() != want.size())
    return fmt::format("{} tensors instead of {}", got.size(), want.size());
  for (const auto& [name, value] : want)
    if (auto it = got.find(name); it == got.end() || !(relative_error(it->second, value) <= 1e-11))
      return name;
  return "";
}

/// The graphs of the devices, as the passes leave them, against the graph of one.
void check(const Strategy& strategy) {
  SCOPED_TRACE(print(strategy));
  for (Mode mode : {Mode::train, Mode::infer}) {
    const Graph whole = whole_step(network(), mode);
    Random random(7);
    const Tensors inputs = random_inputs(whole, random);
    EXPECT_EQ(different(interpret_partitioned(cut_step(network(), strategy, mode, "order"), inputs),
                        interpret_outputs(whole, inputs)),
              "");
  }
}

TEST(MicroBatches, ComputeWhatTheBatchDoes) {
  for (const char* name : {"pipeline", "owt-b", "owt-c"})
    for (int devices : {2, 3, 4})
      for (int count : {1, 2, 3, 4, 8})
        for (Schedule schedule : schedules) {
          Strategy strategy = resolve_strategy(name, network(), devices);
          strategy.micro_batches = {count, schedule};
          check(strategy);
        }
}

/// Whatever is not cut by samples comes in micro-batches, whatever is around it.
TEST(MicroBatches, GoWithCutsOfAllKinds) {
  Random random(5);
  for (int round = 0; round < 40; ++round) {
    const int devices = 2 + static_cast<int>(random() % 3);
    Strategy strategy = random_legal_strategy(network(), devices, {}, random);
    strategy.micro_batches = {2 + static_cast<int>(random() % 3), schedules[random() % 3]};
    check(strategy);
  }
}

TEST(MicroBatches, NamedStrategiesHaveNoMoreThanSamples) {
  Network small = network();
  small.recipe.train.batch = 3;
  for (const char* name : {"pipeline", "pipeline-1f1b", "owt-b", "owt-c"})
    EXPECT_NO_THROW(cut_step(small, resolve_strategy(name, small, 3))) << name;
}

TEST(MicroBatches, NamedStrategiesFollowTheBatchThatIsAskedFor) {
  const Network large = network();
  EXPECT_EQ(resolve_strategy("pipeline", large, 2).micro_batches.count, 4);
  EXPECT_EQ(resolve_strategy("pipeline", large, 2, 6).micro_batches.count, 2);
  Network cut = large;
  cut.partition = {2, "pipeline", {}};
  EXPECT_EQ(default_strategy(cut, 2, 3).micro_batches.count, 3);
}

/// Bytes of the arena of each device.
std::vector<int64_t> planned(const Network& network, Schedule schedule, int devices, int count) {
  CompileOptions options;
  options.strategy = resolve_strategy("pipeline", network, devices);
  options.strategy->micro_batches = {count, schedule};
  const LoweringOptions lowering = lowering_options(options);
  std::vector<int64_t> bytes;
  for (int device = 0; device < devices; ++device) {
    std::ostringstream dump;
    bytes.push_back(run_passes(network, Mode::train, options, lowering, dump, device)
                        .context.memory.arena_bytes);
  }
  return bytes;
}

TEST(MicroBatches, BackwardAsSoonAsCanBeNeedsLessMemory) {
  std::string text = "name: deep\ninput: {channels: 8, height: 16, width: 16}\nlayers:\n";
  for (int i = 0; i < 12; ++i)
    text += fmt::format("  - {{name: conv{}, type: conv2d, filters: 8, kernel: 3, pad: 1}}\n"
                        "  - {{name: relu{}, type: relu}}\n",
                        i, i);
  text += "  - {name: fc, type: linear, features: 8}\n"
          "  - {name: loss, type: softmax_cross_entropy}\ntrain: {batch: 32}\n";
  const Network deep = network_of(text);
  const std::vector<int64_t> gpipe = planned(deep, Schedule::gpipe, 4, 8);
  const std::vector<int64_t> soon = planned(deep, Schedule::one_forward_one_backward, 4, 8);
  for (size_t device = 0; device < gpipe.size(); ++device) {
    RecordProperty(fmt::format("device{}", device),
                   fmt::format("{} of {} bytes", soon[device], gpipe[device]));
    EXPECT_LT(soon[device], gpipe[device] * 3 / 4) << device;
  }
}

} // namespace
} // namespace netc::test
