// Runs over several devices: nothing hangs on timing, devices do not wait without need, and what
// does not fit is told before anything runs.

#include "runtime/devices.h"
#include "tests/runtime/multi_device_support.h"

#include <atomic>
#include <chrono>
#include <thread>

namespace netc::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Sums, gatherings and messages through little memory: places are used again and again.
Plan long_plan(int devices) {
  const Shape shape = {31, 170}; // in chunks
  const Sharding all = replicated(shape, devices),
                 rows = cut_along(shape, 0, even_bounds(31, devices)),
                 columns = cut_along(shape, 1, even_bounds(170, devices)),
                 last = on_device(shape, devices, devices - 1);
  std::vector<Graph> graphs(static_cast<size_t>(devices));
  for (int i = 0; i < devices; ++i) {
    Graph& graph = graphs[static_cast<size_t>(i)];
    Value* x = GraphBuilder(graph).value(ops::feed, fmt::format("x{}", i), {},
                                         type_of({DType::f32, shape}));
    int count = 0;
    std::vector<Value*> held = {x};
    auto go = [&](const Sharding& from, const Sharding& to, Combine combine) {
      Node* node = add_exchange(
          graph, i, exchange(fmt::format("e{}", count++), shape, from, to, combine), held);
      held.clear();
      if (!node->results.empty())
        held = {node->result()};
    };
    go(all, all, Combine::none);
    for (int round = 0; round < 3; ++round) {
      go(all, all, Combine::sum);
      go(all, rows, Combine::sum);
      go(rows, columns, Combine::none);
      go(columns, all, Combine::none);
      go(all, last, Combine::sum);
      go(last, all, Combine::none);
    }
    go(all, all, Combine::none);
    graph.outputs.push_back({fmt::format("y{}", i), held[0]});
  }
  return plan_of(std::move(graphs));
}

TEST(MultiDevice, TimingChangesNoBit) {
  for (int devices : {2, 3, 4}) {
    const Plan plan = long_plan(devices);
    ASSERT_TRUE(std::any_of(plan.programs[0].buffers.begin(), plan.programs[0].buffers.end(),
                            [](const Buffer& b) { return b.alias >= 0; }))
        << "nothing in place";
    std::unique_ptr<Session> session = open(plan);
    std::atomic<unsigned> calls{0};
    std::atomic<bool> delays{false};
    session->before_tasks([&](int device) {
      unsigned call = calls++;
      if (delays)
        std::this_thread::sleep_for(std::chrono::microseconds(
            std::mt19937(call * 64 + static_cast<unsigned>(device))() % 40 * 3));
    });
    std::vector<std::vector<float>> first;
    for (int run = 0; run < 70; ++run) {
      delays = run > 0;
      session->poison(std::byte{0xff});
      for (int i = 0; i < devices; ++i)
        fill(*session, fmt::format("x{}", i), static_cast<unsigned>(i));
      session->run("train");
      std::vector<std::vector<float>> results;
      for (int i = 0; i < devices; ++i)
        results.push_back(output(*session, fmt::format("y{}", i)));
      if (run == 0)
        first = results;
      ASSERT_TRUE(results == first) << "run " << run;
    }
    EXPECT_GT(first[0][0], 1.0f);
    EXPECT_EQ(first[0], first.back()) << "all devices have the same";
    EXPECT_GT(calls, 70u * 20);
  }
}

/// Device 0 hands on `a` (or, with `sum`, a part of a sum), and then has `b` in the same place.
Plan reusing_plan(bool sum) {
  const Shape shape = {90, 90}; // sums go in chunks
  const Sharding zero = on_device(shape, 2, 0), one = on_device(shape, 2, 1),
                 all = replicated(shape, 2);
  std::vector<Graph> graphs(2);
  for (int i = 0; i < 2; ++i) {
    Graph& graph = graphs[static_cast<size_t>(i)];
    auto feed = [&](const char* name) {
      return GraphBuilder(graph).value(ops::feed, name, {}, type_of({DType::f32, shape}));
    };
    auto go = [&](const char* name, const Sharding& from, const Sharding& to, Value* value,
                  Combine combine = Combine::none) {
      std::vector<Value*> operands;
      if (!is_empty(from.at(i)))
        operands = {value};
      Node* node = add_exchange(graph, i, exchange(name, shape, from, to, combine), operands);
      return node->results.empty() ? nullptr : node->result();
    };
    Value* x = feed(i ? "x1" : "x0");
    Value* a = go("a", all, all, x);
    Value* got = sum ? go("sum", all, all, a, Combine::sum) : go("send", zero, one, a);
    if (sum)
      got = go("kept", all, all, got);
    Value* b = go("b", zero, zero, i ? nullptr : feed("q"));
    b = go("out", zero, zero, b);
    if (got)
      graph.outputs.push_back({i ? "y1" : "y0", got});
    if (b)
      graph.outputs.push_back({"z", b});
  }
  return plan_of(std::move(graphs));
}

TEST(MultiDevice, MemoryThatOthersReadIsLeftAlone) {
  for (bool sum : {false, true}) {
    const Plan plan = reusing_plan(sum);
    const Program& program = plan.programs[0];
    ASSERT_EQ(program.buffers[static_cast<size_t>(program.find("a"))].offset,
              program.buffers[static_cast<size_t>(program.find("b"))].offset);
    std::unique_ptr<Session> session = open(plan);
    session->before_tasks([](int device) { // device 0 has long gone on
      std::this_thread::sleep_for(std::chrono::milliseconds(device * 5));
    });
    for (const char* feed : {"x0", "x1", "q"})
      fill(*session, feed, static_cast<unsigned>(feed[0]));
    std::span<std::byte> feed = session->feed("train", "x0");
    const float* x = reinterpret_cast<const float*>(feed.data());
    std::vector<float> want(x, x + feed.size() / 4);
    if (sum)
      for (float& value : want)
        value += value; // x1 is the same
    session->run("train");
    EXPECT_EQ(output(*session, "y1"), want) << "sum " << sum;
    EXPECT_NE(output(*session, "z"), want);
  }
}

/// Device 0 gets a tensor from device 1 and has other things to do, which nothing waits for.
Plan waiting_plan() {
  const Shape shape = {8};
  const Sharding zero = on_device(shape, 2, 0), one = on_device(shape, 2, 1);
  std::vector<Graph> graphs(2);
  Value* x = GraphBuilder(graphs[1]).value(ops::feed, "x", {}, type_of({DType::f32, shape}));
  Value* own = GraphBuilder(graphs[0]).value(ops::feed, "own", {}, type_of({DType::f32, shape}));
  add_exchange(graphs[1], 1, exchange("get", shape, one, zero), {x});
  Value* got = add_exchange(graphs[0], 0, exchange("get", shape, one, zero), {})->result();
  for (int i = 0; i < 5; ++i) {
    const Exchange e = exchange(fmt::format("own{}", i), shape, zero, zero);
    add_exchange(graphs[1], 1, e, {});
    own = add_exchange(graphs[0], 0, e, {own})->result();
  }
  graphs[0].outputs.push_back({"y0", got});
  graphs[0].outputs.push_back({"y1", own});
  return plan_of(std::move(graphs));
}

TEST(MultiDevice, WhoWaitsDoesWhatItCan) {
  std::unique_ptr<Session> session = open(waiting_plan());
  std::atomic<int> done{0};
  session->before_tasks([&](int device) {
    if (device == 0) {
      ++done;
      return;
    }
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (done < 5) { // device 1 sends late
      if (std::chrono::steady_clock::now() > patience)
        throw RuntimeError("device 0 does nothing");
      std::this_thread::yield();
    }
  });
  fill(*session, "x", 1);
  fill(*session, "own", 2);
  session->run("train");
  EXPECT_EQ(output(*session, "y0").size(), 8u);
  EXPECT_NE(output(*session, "y0"), output(*session, "y1"));
}

TEST(MultiDevice, MeasuredStepsHaveOneClock) {
  std::unique_ptr<Session> session = open(waiting_plan());
  session->profile(true);
  session->run("train");
  session->run("train");
  std::span<const StepTime> to = session->times("train", 0), from = session->times("train", 1);
  ASSERT_EQ(to.size(), 6u);
  ASSERT_EQ(from.size(), 6u);
  EXPECT_EQ(to[0].label, "get: exchange");
  for (const StepTime& time : to) {
    EXPECT_GT(time.seconds, 0);
    EXPECT_GE(time.waited, 0);
    EXPECT_GT(time.end, time.begin);
  }
  EXPECT_GE(to[0].end, from[0].begin) << "got before it was sent";
  EXPECT_EQ(from[1].seconds, 0) << "others do this";
}

TEST(MultiDevice, AFailureOnOneDeviceEndsTheRun) {
  std::unique_ptr<Session> session = open(long_plan(3));
  std::atomic<bool> broken{true};
  std::atomic<int> count{0};
  session->before_tasks([&](int device) {
    if (broken && device == 1 && ++count == 9)
      throw RuntimeError("device 1 is lost");
  });
  EXPECT_THROW(session->run("train"), RuntimeError);
  broken = false;
  session->run("train");
  EXPECT_EQ(output(*session, "y0"), output(*session, "y2"));
}

std::string failure_of(const Plan& plan) {
  try {
    open(plan);
  } catch (const RuntimeError& error) {
    return error.what();
  }
  return "";
}

TEST(MultiDevice, ProgramsThatDoNotFitTogetherAreRefused) {
  const Plan good = long_plan(2);
  EXPECT_EQ(failure_of(good), "");
  Plan dropped = good; // the last one: what follows would miss its results
  Program& p = dropped.programs[1];
  p.exchanges.pop_back();
  p.steps.pop_back();
  EXPECT_THAT(failure_of(dropped), HasSubstr("`train` of device 1 has 19 exchanges, device 0 has "
                                             "20: `e19`"));
  Plan swapped = good;
  std::swap(swapped.programs[1].exchanges[7], swapped.programs[1].exchanges[8]);
  EXPECT_THAT(failure_of(swapped),
              HasSubstr("`train` of device 1 has `e8` as exchange 7, device 0 has `e7`"));
  Plan moved = good;
  for (Box& box : moved.programs[1].exchanges[2].to.boxes)
    box[0] = {box[0].begin, box[0].end - 1};
  EXPECT_THAT(failure_of(moved), HasSubstr("`train` of device 1 has exchange 2 (`e2`) to"));
  Plan missing = good;
  missing.programs.pop_back();
  EXPECT_EQ(failure_of(missing), "the plan has `train` for 1 of 2 devices");
}

TEST(MultiDevice, APlanNeedsItsDevices) {
  const Plan plan = long_plan(2);
  for (int count : {1, 3})
    try {
      Session session(plan, "folder", specs(count));
      FAIL() << "no error";
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), HasSubstr(fmt::format("the plan `folder` is for 2 devices, not for "
                                                      "{} (`cpu:0`",
                                                      count)));
    }
  EXPECT_THROW(Session(plan, "folder", DeviceSpec{}), UserError);
}

TEST(MultiDevice, TheLimitIsADevices) {
  std::vector<DeviceSpec> list = specs(2);
  list[1].memory_limit = 1000;
  try {
    Session session(long_plan(2), "folder", list);
    FAIL() << "no error";
  } catch (const RuntimeError& error) {
    EXPECT_THAT(error.what(), HasSubstr("on `cpu:1`, which may use"));
  }
}

TEST(MultiDevice, CoresAreSharedOut) {
  const size_t cores = usable_cores().size();
  std::vector<DeviceSpec> many = share_cores(specs(static_cast<int>(cores) + 1), 1);
  for (const DeviceSpec& spec : many) {
    EXPECT_TRUE(spec.cores.empty());
    EXPECT_EQ(spec.sharing, static_cast<int>(cores) + 1);
  }
  std::vector<DeviceSpec> alone = share_cores(specs(1), 1);
  EXPECT_TRUE(alone[0].cores.empty());
  EXPECT_EQ(alone[0].sharing, 1);
  Plan plan = waiting_plan();
  plan.threads = static_cast<int>(cores);
  EXPECT_THAT(open(plan)->notes(), ElementsAre(HasSubstr("2 devices share")));
  if (cores < 2)
    return;
  std::vector<DeviceSpec> two = share_cores(specs(2), 1);
  std::vector<int> all = two[0].cores;
  all.insert(all.end(), two[1].cores.begin(), two[1].cores.end());
  EXPECT_FALSE(two[0].cores.empty());
  EXPECT_EQ(all, usable_cores());
  plan.threads = 1;
  EXPECT_THAT(open(plan)->notes(), ElementsAre());
}

} // namespace
} // namespace netc::test
