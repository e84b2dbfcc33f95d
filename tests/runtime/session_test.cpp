// Sessions on a device with memory of its own: what travels when, how far the host may be ahead,
// what is said when something does not fit.

#include "runtime/session.h"
#include "tests/runtime/temporary_folder.h"
#include "tests/support/fake_device.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>

namespace netc::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const TensorType four{DType::f32, {4}};

/// sum = x + w, then w = w + x.
void add_to_state(void* const* buffers, const Thread&) {
  const float* x = static_cast<const float*>(buffers[0]);
  float* w = static_cast<float*>(buffers[1]);
  float* sum = static_cast<float*>(buffers[2]);
  for (int i = 0; i < 4; ++i) {
    sum[i] = x[i] + w[i];
    w[i] = sum[i];
  }
}

/// A plan of one step, which adds the feed `x` to the state `w` and puts that out as `sum`.
Plan adding_plan() {
  using kernel::Access;
  Plan plan;
  plan.network = "adding";
  plan.target = "cpu";
  plan.batch = 4;
  plan.kernels = {{.name = "add", .binary = {}, .implementation = {}, .precision = {}}};
  plan.state = {{.name = "w", .type = four, .init = "constant", .scale = 1}};
  Program program{.name = "train"};
  for (auto [name, place] : {std::pair{"x", Place::feed},
                             {"w", Place::state},
                             {"sum", Place::output},
                             {"scratch", Place::arena}})
    program.buffers.push_back({.name = name, .type = four, .place = place, .bytes = 16});
  program.arena_bytes = 64;
  program.steps = {{.kernel = "add",
                    .buffers = {0, 1, 2},
                    .access = {Access::in, Access::inout, Access::out},
                    .label = "adding"}};
  plan.programs = {program};
  return plan;
}

struct Opened {
  FakeDevice* device;
  std::unique_ptr<Session> session;
};

Opened open(const DeviceSpec& spec = {.name = "fake:0"}) {
  auto device = std::make_unique<FakeDevice>(spec, FakeDevice::Kernels{{"add", add_to_state}});
  FakeDevice* kept = device.get();
  return {kept, std::make_unique<Session>(adding_plan(), "", std::move(device))};
}

void feed(Session& session, float value) {
  std::span<std::byte> x = session.feed("train", "x");
  ASSERT_EQ(x.size(), 16u);
  std::array<float, 4> values = {value, value, value, value};
  std::memcpy(x.data(), values.data(), 16);
}

TEST(Session, TransfersFeedsOutputsAndState) {
  Opened o = open();
  o.session->initialize(1);
  EXPECT_THAT(o.session->state("w").values, ElementsAre(1, 1, 1, 1));
  o.session->write_state("w", [](std::span<float> w) { std::iota(w.begin(), w.end(), 10.0f); });
  feed(*o.session, 100);
  o.session->run("train");
  EXPECT_THAT(o.session->output_of<float>("train", "sum"), ElementsAre(110, 111, 112, 113));
  EXPECT_THAT(o.session->state("w").values, ElementsAre(110, 111, 112, 113));
  EXPECT_TRUE(o.session->feed("train", "sum").empty()); // an output
  EXPECT_TRUE(o.session->output("train", "x").empty());
}

void overwrite_feed(void* const* buffers, const Thread&) {
  *static_cast<float*>(buffers[0]) = 7;
}

TEST(Session, ShowsTestsTheFeedsAsARunLeftThem) {
  auto device = std::make_unique<FakeDevice>(DeviceSpec{.name = "fake:0"},
                                             FakeDevice::Kernels{{"add", overwrite_feed}});
  Session session(adding_plan(), "", std::move(device));
  EXPECT_THROW(session.used_feed("train", "x"), InternalError);
  for (float value : {1.0f, 2.0f}) {
    feed(session, value);
    session.run("train");
    std::span<const std::byte> bytes = session.used_feed("train", "x");
    EXPECT_THAT(std::span(reinterpret_cast<const float*>(bytes.data()), bytes.size() / 4),
                ElementsAre(7, value, value, value));
  }
}

TEST(Session, PreparesRunsWhileTheDeviceIsAtEarlierOnes) {
  Opened o = open();
  Session& session = *o.session;
  std::vector<float> sums, expected;
  float w = 0;
  for (int run = 0; run < 20; ++run) {
    feed(session, static_cast<float>(run));
    session.start("train");
    expected.push_back(w += static_cast<float>(run));
    if (session.full("train")) {
      session.finish("train");
      sums.push_back(session.output_of<float>("train", "sum")[3]);
    }
  }
  EXPECT_EQ(session.running("train"), 1);
  EXPECT_FALSE(session.idle("train"));
  session.finish("train");
  EXPECT_TRUE(session.idle("train"));
  sums.push_back(session.output_of<float>("train", "sum")[3]);
  EXPECT_EQ(sums, expected);
  EXPECT_EQ(o.device->most_ahead(), 2);
}

TEST(Session, RefusesToOverwriteFeedsInUse) {
  Opened o = open();
  for (int i = 0; i < 2; ++i) {
    feed(*o.session, 1);
    o.session->start("train");
  }
  ASSERT_TRUE(o.session->full("train"));
  EXPECT_THROW(o.session->feed("train", "x"), InternalError);
  EXPECT_THROW(o.session->start("train"), InternalError);
  o.session->finish("train");
  o.session->finish("train");
  EXPECT_THROW(o.session->finish("train"), InternalError);
}

TEST(Session, ReadingStateWaitsForAllRuns) {
  Opened o = open();
  for (int i = 0; i < 2; ++i) {
    feed(*o.session, 1);
    o.session->start("train");
  }
  EXPECT_EQ(o.device->runs_done(), 0);
  EXPECT_THAT(o.session->state("w").values, ElementsAre(2, 2, 2, 2));
}

TEST(Session, MayGoWhileRunsAreUnderWay) {
  Opened o = open();
  feed(*o.session, 1);
  o.session->start("train");
  o.session.reset(); // the sanitizers look on
}

TEST(Session, PoisonReachesArenaAndOutputs) {
  Opened o = open();
  o.session->poison(std::byte{0x5a});
  std::vector<std::byte> arena(64);
  ASSERT_EQ(o.session->arena().size(), 64);
  o.device->read(arena.data(), o.session->arena().data(), 64);
  EXPECT_EQ(std::count(arena.begin(), arena.end(), std::byte{0x5a}), 64);
}

TEST(Session, MemoryLimitNamesBothSides) {
  // Arena 64, state 16, three slots of feeds and outputs of 256 each.
  EXPECT_EQ(open({.name = "fake:0", .memory_limit = 1616}).device->memory_in_use(), 1616);
  try {
    open({.name = "fake:0", .memory_limit = 1615});
    FAIL() << "no error";
  } catch (const RuntimeError& error) {
    EXPECT_THAT(error.what(),
                HasSubstr("the plan of `adding` for batches of 4 needs 1616 bytes "
                          "on `fake:0`, which may use 1615 bytes (`--memory-limit`)"));
    EXPECT_THAT(error.hint(), HasSubstr("`--batch N`"));
  }
}

/// The same step twice on each of two devices, the second of which puts nothing out.
Plan two_devices() {
  Plan plan = adding_plan();
  plan.devices = 2;
  Program& first = plan.programs[0];
  first.steps.push_back(first.steps[0]);
  std::erase_if(first.buffers, [](const Buffer& b) { return b.place == Place::arena; });
  plan.programs.push_back(first);
  Program& second = plan.programs[1];
  second.device = 1;
  Buffer& sum = second.buffers[2];
  sum.name = "unread", sum.place = Place::arena, sum.last_step = 1;
  return plan;
}

struct OpenedTwo {
  std::array<FakeDevice*, 2> devices{};
  std::unique_ptr<Session> session;
};

/// Counts what is allocated.
class CountingDevice : public FakeDevice {
public:
  CountingDevice(DeviceSpec spec, int& count)
      : FakeDevice(std::move(spec), {{"add", add_to_state}}), count_(count) {}

protected:
  std::byte* take(int64_t bytes, bool host) override {
    ++count_;
    return FakeDevice::take(bytes, host);
  }

private:
  int& count_;
};

/// `count`: of allocations.
OpenedTwo open_two(int& count, int64_t second_limit = 0) {
  OpenedTwo opened;
  std::vector<std::unique_ptr<Device>> devices;
  for (size_t i = 0; i < 2; ++i) {
    auto device = std::make_unique<CountingDevice>(
        DeviceSpec{.name = fmt::format("fake:{}", i), .memory_limit = i ? second_limit : 0}, count);
    opened.devices[i] = device.get();
    devices.push_back(std::move(device));
  }
  opened.session = std::make_unique<Session>(two_devices(), "", std::move(devices));
  return opened;
}

TEST(Session, NothingIsAllocatedUnlessEveryDeviceHasRoom) {
  int count = 0;
  open_two(count);
  EXPECT_GT(std::exchange(count, 0), 0);
  EXPECT_THROW(open_two(count, 100), RuntimeError);
  EXPECT_EQ(count, 0);
}

TEST(Session, ARunEndsWhenAllDevicesAreDone) {
  int count = 0;
  OpenedTwo opened = open_two(count);
  feed(*opened.session, 1);
  opened.session->run("train");
  for (const FakeDevice* device : opened.devices) {
    EXPECT_EQ(device->runs_started(), 2);
    EXPECT_EQ(device->runs_done(), 2);
  }
}

TEST(Session, MeasuredStepsLastUntilTheirWorkIsDone) {
  int count = 0;
  OpenedTwo opened = open_two(count);
  std::array<int64_t, 2> pending{};
  opened.session->before_tasks([&](int device) {
    const FakeDevice& fake = *opened.devices[static_cast<size_t>(device)];
    pending[static_cast<size_t>(device)] += fake.runs_started() - fake.runs_done();
  });
  opened.session->run("train");
  EXPECT_THAT(pending, ElementsAre(1, 1)) << "not measured, the second step waits for nothing";
  opened.session->profile(true);
  opened.session->run("train");
  EXPECT_THAT(pending, ElementsAre(1, 1));
}

TEST(Session, PlansForOtherTargetsAreLocatedErrors) {
  TemporaryFolder folder;
  Plan plan = adding_plan();
  plan.target = "cuda:sm_90";
  write_plan(plan, folder.path());
  try {
    Session session(plan, folder.path(), std::make_unique<FakeDevice>());
    FAIL() << "no error";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("plan.json:"));
    EXPECT_THAT(error.what(), HasSubstr("error: the plan is for `cuda:sm_90`, `fake:0` (a device "
                                        "for tests) runs `cpu`"));
    EXPECT_THAT(error.what(), HasSubstr("\"target\": \"cuda:sm_90\""));
  }
}

TEST(Session, GivesAllMemoryBack) {
  FakeDevice device;
  {
    DeviceMemory a = device.allocate(100, "a"), b = device.allocate(28, "b");
    EXPECT_EQ(device.memory_in_use(), 128);
    DeviceMemory host = device.allocate_host(1000);
    a = std::move(b);
    EXPECT_EQ(device.memory_in_use(), 128);
  }
  EXPECT_EQ(device.memory_in_use(), 0);
}

} // namespace
} // namespace netc::test
