// Simulated steps against schedules made by hand, and what holds of all of them.

#include "passes/partition/simulate.h"

#include "ir/support/error.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace netc {
namespace {

using Matrix = std::vector<std::vector<int64_t>>;

StepTask compute(const char* name, double seconds, std::vector<int> needs = {}) {
  return {name, seconds, -1, std::move(needs)};
}
StepTask exchange(int id, std::vector<int> needs = {}, double setup = 0) {
  return {fmt::format("exchange{}", id), setup, id, std::move(needs)};
}

/// Bytes that each of `devices` sends to each other one.
Matrix to_all(size_t devices, int64_t bytes) {
  Matrix matrix(devices, std::vector<int64_t>(devices, bytes));
  for (size_t i = 0; i < devices; ++i)
    matrix[i][i] = 0;
  return matrix;
}

/// A link of 10 bytes a second.
constexpr LinkProfile slow{0, 10};

void expect_times(const StepTimes& times, std::vector<std::vector<TaskTimes>> expected) {
  ASSERT_EQ(times.tasks.size(), expected.size());
  for (size_t d = 0; d < expected.size(); ++d) {
    ASSERT_EQ(times.tasks[d].size(), expected[d].size());
    for (size_t i = 0; i < expected[d].size(); ++i) {
      EXPECT_NEAR(times.tasks[d][i].begin, expected[d][i].begin, 1e-9) << d << " " << i;
      EXPECT_NEAR(times.tasks[d][i].end, expected[d][i].end, 1e-9) << d << " " << i;
    }
  }
}

// The gradient of the last layer travels while the first layer's is computed.
TEST(Simulate, ExchangesOverlapWithComputing) {
  const std::vector<StepTask> tasks = {compute("last", 2), exchange(0, {0}, 1), compute("first", 5),
                                       compute("update", 1, {1})};
  StepSchedule s{{tasks, tasks}, {to_all(2, 30)}, slow};
  StepTimes times = simulate(s);
  expect_times(times, {2, {{0, 2}, {2, 6}, {2, 7}, {7, 8}}});
  EXPECT_EQ(times.seconds, 8);
  EXPECT_EQ(times.busy, (std::vector<double>{8, 8}));
  EXPECT_EQ(times.exposed, (std::vector<double>{0, 0}));
  s.one_queue = true;
  times = simulate(s);
  expect_times(times, {2, {{0, 2}, {2, 6}, {6, 11}, {11, 12}}});
  EXPECT_EQ(times.exposed, (std::vector<double>{4, 4}));
}

// What waits for the exchange is passed by what does not.
TEST(Simulate, NoDeviceWaitsWhileItHasWork) {
  const std::vector<StepTask> tasks = {compute("a", 1), exchange(0, {0}), compute("b", 1, {1}),
                                       compute("c", 1)};
  StepSchedule s{{tasks, tasks}, {to_all(2, 30)}, slow};
  StepTimes times = simulate(s);
  expect_times(times, {2, {{0, 1}, {1, 4}, {4, 5}, {1, 2}}});
  EXPECT_EQ(times.exposed, (std::vector<double>{2, 2}));
}

TEST(Simulate, AStragglerKeepsOthersWaiting) {
  StepSchedule s{{{compute("a", 1), exchange(0, {0}), compute("b", 1, {1})},
                  {compute("a", 4), exchange(0, {0}), compute("b", 1, {1})}},
                 {to_all(2, 20)},
                 slow};
  StepTimes times = simulate(s);
  // The straggler finds what it wants ready, and both links are free.
  expect_times(times, {{{0, 1}, {4, 6}, {6, 7}}, {{0, 4}, {4, 6}, {6, 7}}});
  EXPECT_EQ(times.busy, (std::vector<double>{2, 5}));
  EXPECT_EQ(times.exposed, (std::vector<double>{5, 2}));
  // A device that only sends does not wait for the one that receives.
  s.exchanges = {{{0, 20}, {0, 0}}};
  expect_times(simulate(s), {{{0, 1}, {1, 1}, {1, 2}}, {{0, 4}, {4, 6}, {6, 7}}});
}

TEST(Simulate, TransfersShareALink) {
  // Two devices pull 20 bytes each out of the first, one of them a second later.
  StepSchedule s{
      {{exchange(0), exchange(1)}, {exchange(0)}, {compute("late", 1), exchange(1, {0})}},
      {{{0, 20, 0}, {0, 0, 0}, {0, 0, 0}}, {{0, 0, 20}, {0, 0, 0}, {0, 0, 0}}},
      slow};
  // 10 bytes alone, then both at half the pace: the other 10 take 2 s, and 10 are left for it.
  expect_times(simulate(s), {{{0, 0}, {0, 0}}, {{0, 3}}, {{0, 1}, {1, 4}}});
}

TEST(Simulate, OneBusIsSharedByAll) {
  // Two pairs swap 20 bytes each.
  Matrix pairs(4, std::vector<int64_t>(4, 0));
  pairs[0][1] = pairs[1][0] = pairs[2][3] = pairs[3][2] = 20;
  StepSchedule s{{4, {exchange(0)}}, {pairs}, slow};
  EXPECT_NEAR(simulate(s).seconds, 2, 1e-9);
  s.link.full_duplex = false;
  EXPECT_NEAR(simulate(s).seconds, 4, 1e-9);
  s.link.shared = true;
  EXPECT_NEAR(simulate(s).seconds, 8, 1e-9);
  s.link.full_duplex = true;
  EXPECT_NEAR(simulate(s).seconds, 8, 1e-9);
}

TEST(Simulate, AOneWayLinkCarriesBothDirections) {
  // The first device sends 20 bytes and receives 20.
  StepSchedule s{{3, {exchange(0)}}, {{{0, 20, 0}, {0, 0, 0}, {20, 0, 0}}}, slow};
  expect_times(simulate(s), {{{0, 2}}, {{0, 2}}, {{0, 0}}});
  s.link.full_duplex = false;
  expect_times(simulate(s), {{{0, 4}}, {{0, 4}}, {{0, 0}}});
}

TEST(Simulate, EmptyExchangesAndStepsTakeNothing) {
  StepSchedule s{{{exchange(0), compute("a", 1, {0})}, {exchange(0)}}, {to_all(2, 0)}, slow};
  expect_times(simulate(s), {{{0, 0}, {0, 1}}, {{0, 0}}});
  EXPECT_EQ(simulate(StepSchedule{{{}, {}}, {}, slow}).seconds, 0);
}

TEST(Simulate, RefusesWhatCannotRun) {
  // Each device wants the other's exchange first.
  StepSchedule s{{{exchange(0), exchange(1, {0})}, {exchange(1), exchange(0, {0})}},
                 {to_all(2, 1), to_all(2, 1)},
                 slow};
  EXPECT_THROW(simulate(s), InternalError);
  s = {{{exchange(0)}, {}}, {to_all(2, 1)}, slow}; // nobody receives
  EXPECT_THROW(simulate(s), InternalError);
  s = {{{exchange(0), exchange(0)}}, {to_all(1, 0)}, slow};
  EXPECT_THROW(simulate(s), InternalError);
  s = {{{compute("a", 1, {1}), compute("b", 1)}}, {}, slow};
  EXPECT_THROW(simulate(s), InternalError);
  s = {{{compute("endless", std::numeric_limits<double>::infinity())}}, {}, slow};
  EXPECT_THROW(simulate(s), InternalError);
}

/// Random steps whose devices have their exchanges in the same order.
class RandomStep {
public:
  explicit RandomStep(uint64_t seed) : random_(seed) {}

  int below(int bound) { return static_cast<int>(random_() % static_cast<uint64_t>(bound)); }

  /// `chains`: every task needs the one before it.
  StepSchedule any(bool chains) {
    const size_t devices = 1 + static_cast<size_t>(below(4));
    StepSchedule s{{devices, std::vector<StepTask>{}}, {}, link(), below(2) == 0};
    for (int items = 1 + below(20); items > 0; --items) {
      const bool exchanges = below(3) == 0;
      const auto id = static_cast<int>(s.exchanges.size());
      if (exchanges)
        s.exchanges.push_back(some_bytes(devices));
      for (size_t d = 0; d < devices; ++d) {
        std::vector<StepTask>& tasks = s.devices[d];
        if (exchanges && takes_part(s.exchanges.back(), d))
          tasks.push_back(exchange(id, needs(tasks.size(), chains), below(4) / 4.0));
        else if (!exchanges && below(4))
          tasks.push_back(compute("c", below(8) / 2.0, needs(tasks.size(), chains)));
      }
    }
    return s;
  }

  /// The same chain on all devices, with exchanges from each to each, and what its parts add up to.
  StepSchedule alike(double& sum) {
    const size_t devices = 1 + static_cast<size_t>(below(4));
    StepSchedule s{{}, {}, {0, 1.0 + below(20)}, below(2) == 0};
    std::vector<StepTask> tasks;
    sum = 0;
    for (int items = 1 + below(20); items > 0; --items) {
      const double seconds = below(8) / 2.0;
      if (below(3)) {
        tasks.push_back(compute("c", seconds, needs(tasks.size(), true)));
      } else {
        const int bytes = below(40);
        tasks.push_back(
            exchange(static_cast<int>(s.exchanges.size()), needs(tasks.size(), true), seconds));
        s.exchanges.push_back(to_all(devices, bytes));
        sum += static_cast<double>(devices - 1) * bytes / s.link.bytes_per_second;
      }
      sum += seconds;
    }
    s.devices.assign(devices, tasks);
    return s;
  }

private:
  LinkProfile link() { return {0, 1.0 + below(20), below(2) == 0, below(2) == 0}; }

  Matrix some_bytes(size_t devices) {
    Matrix bytes = to_all(devices, 1);
    for (std::vector<int64_t>& row : bytes)
      for (int64_t& n : row)
        n *= below(2) * below(40);
    return bytes;
  }

  static bool takes_part(const Matrix& bytes, size_t device) {
    return std::any_of(bytes.begin(), bytes.end(), [&](const auto& row) { return row[device]; }) ||
           std::any_of(bytes[device].begin(), bytes[device].end(), [](int64_t n) { return n; });
  }

  std::vector<int> needs(size_t before, bool chain) {
    std::vector<int> list;
    for (size_t i = 0; i < before; ++i)
      if (chain ? i + 1 == before : below(4) == 0)
        list.push_back(static_cast<int>(i));
    return list;
  }

  std::mt19937_64 random_;
};

double ready_at(const StepTimes& times, const StepSchedule& s, size_t device, size_t i) {
  double ready = 0;
  for (int need : s.devices[device][i].needs)
    ready = std::max(ready, times.tasks[device][static_cast<size_t>(need)].end);
  return ready;
}

/// When the task could begin if its queue were free, and the least it takes when it has.
TaskTimes earliest(const StepTimes& times, const StepSchedule& s, size_t device, size_t i) {
  const StepTask& task = s.devices[device][i];
  double ready = ready_at(times, s, device, i), seconds = task.seconds, in = 0;
  for (size_t from = 0; task.exchange >= 0 && from < s.devices.size(); ++from) {
    const auto bytes = s.exchanges[static_cast<size_t>(task.exchange)][from][device];
    in += static_cast<double>(bytes);
    for (size_t k = 0; bytes > 0 && k < s.devices[from].size(); ++k)
      if (s.devices[from][k].exchange == task.exchange)
        ready = std::max(ready, ready_at(times, s, from, k));
  }
  return {ready, ready + seconds + in / s.link.bytes_per_second};
}

/// How long the queue of a task works on others within [begin, end).
double queue_busy(const StepTimes& times, const StepSchedule& s, size_t device, size_t i,
                  TaskTimes within) {
  double sum = 0;
  const auto& tasks = s.devices[device];
  for (size_t k = 0; k < tasks.size(); ++k)
    if (k != i && (s.one_queue || (tasks[k].exchange < 0) == (tasks[i].exchange < 0)))
      sum += std::max(0.0, std::min(within.end, times.tasks[device][k].end) -
                               std::max(within.begin, times.tasks[device][k].begin));
  return sum;
}

TEST(Simulate, AllStepsKeepTheRules) {
  constexpr double close = 1e-6;
  int exchanges = 0, waits = 0;
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE(seed);
    const StepSchedule s = RandomStep(seed).any(false);
    const StepTimes times = simulate(s);
    EXPECT_EQ(simulate(s).tasks, times.tasks);
    for (size_t d = 0; d < s.devices.size(); ++d) {
      EXPECT_GE(times.seconds, times.busy[d] - close);
      exchanges += times.exposed[d] > 0;
      for (size_t i = 0; i < s.devices[d].size(); ++i) {
        const TaskTimes at = times.tasks[d][i], least = earliest(times, s, d, i);
        EXPECT_GE(at.begin, least.begin - close);
        EXPECT_GE(at.end, at.begin + least.end - least.begin - close); // critical paths, by and by
        EXPECT_EQ(queue_busy(times, s, d, i, at), 0);
        EXPECT_NEAR(queue_busy(times, s, d, i, {least.begin, at.begin}), at.begin - least.begin,
                    close);
        waits += at.begin > least.begin + close;
      }
    }
    if (HasFailure())
      return;
  }
  EXPECT_GT(exchanges, 500);
  EXPECT_GT(waits, 500);
}

TEST(Simulate, AChainAddsUp) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    double sum = 0;
    const StepSchedule s = RandomStep(seed).alike(sum);
    EXPECT_NEAR(simulate(s).seconds, sum, 1e-9 * sum) << seed;
  }
}

TEST(Simulate, MoreBandwidthIsNeverSlowerOnChains) {
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    StepSchedule s = RandomStep(seed).any(true);
    const double before = simulate(s).seconds;
    s.link.bytes_per_second *= 1.5;
    EXPECT_LE(simulate(s).seconds, before + 1e-9) << seed;
  }
}

} // namespace
} // namespace netc
