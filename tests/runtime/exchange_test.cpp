// Exchanges between devices against plain loops over the sources: every kind, in place and not,
// row-major and nhwc, tiny and in chunks, uneven and empty shards, on devices that the host sees
// and on devices that it does not.

#include "runtime/session.h"
#include "tests/support/device_graphs.h"
#include "tests/support/fake_device.h"
#include "tests/support/gpu.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <random>

namespace netc::test {
namespace {

/// An exchange whose sources are feeds of the devices and whose results are outputs.
struct Case {
  Exchange exchange;
  bool nhwc = false;
  bool in_place = false; ///< The results take over the memory of copies of the feeds.
};

Exchange exchange(const Shape& shape, Sharding from, Sharding to, DType dtype = DType::f32) {
  Exchange e;
  e.name = "e";
  e.type = {dtype, shape};
  e.from = std::move(from);
  e.to = std::move(to);
  return e;
}

/// The feed goes through the arena if the exchange is to work in place.
Graph graph_of(const Case& c, int device) {
  Graph graph(fmt::format("device{}", device));
  const Exchange& e = c.exchange;
  const Sharding own = {e.from.boxes, Combine::none};
  Exchange before = exchange(e.type.shape, own, own, e.type.dtype),
           after = exchange(e.type.shape, e.to, e.to, e.type.dtype);
  before.name = "before";
  after.name = "after";
  std::vector<Value*> source, result;
  if (!is_empty(e.from.at(device)))
    source = {GraphBuilder(graph).value(ops::feed, fmt::format("x{}", device), {},
                                        type_of({e.type.dtype, shape_of(e.from.at(device))}))};
  if (c.in_place) {
    Node* node = add_exchange(graph, device, before, source);
    source = source.empty() ? source : std::vector<Value*>{node->result()};
  }
  Node* node = add_exchange(graph, device, e, source);
  if (!node->results.empty())
    result = {node->result()};
  if (c.in_place) {
    node = add_exchange(graph, device, after, result);
    result = result.empty() ? result : std::vector<Value*>{node->result()};
  }
  if (!result.empty())
    graph.outputs.push_back({fmt::format("y{}", device), result[0]});
  return graph;
}

Sharding with(Sharding sharding, Combine combine) {
  sharding.combine = combine;
  return sharding;
}

Plan plan_of(const Case& c) {
  Plan plan;
  plan.target = "cpu";
  plan.threads = 2;
  std::vector<Graph> graphs;
  for (int i = 0; i < c.exchange.to.devices(); ++i)
    graphs.push_back(graph_of(c, i));
  KernelSet kernels;
  add_programs(plan, graphs, "train", c.nhwc, kernels);
  const std::vector<Buffer>& buffers = plan.programs[0].buffers;
  EXPECT_TRUE(
      !c.in_place || c.exchange.from != with(c.exchange.to, Combine::sum) ||
      !c.exchange.to.alike() ||
      std::any_of(buffers.begin(), buffers.end(), [](const Buffer& b) { return b.alias >= 0; }))
      << "not in place";
  return plan;
}

/// Offset of an element of a box as it lies in memory.
size_t offset_of(const std::vector<int64_t>& at, const Box& box, bool nhwc) {
  std::vector<size_t> order = {0, 1, 2, 3};
  if (nhwc && box.size() == 4)
    order = {0, 2, 3, 1};
  int64_t offset = 0;
  for (size_t i = 0; i < box.size(); ++i) {
    const size_t d = order[i];
    offset = offset * box[d].extent() + at[d] - box[d].begin;
  }
  return static_cast<size_t>(offset);
}

bool holds(const Box& box, const std::vector<int64_t>& at) {
  for (size_t d = 0; d < box.size(); ++d)
    if (at[d] < box[d].begin || at[d] >= box[d].end)
      return false;
  return !is_empty(box);
}

/// The combination of values as a binary tree in their order.
float tree(const std::vector<float>& values, Combine combine) {
  if (values.size() == 1)
    return values[0];
  size_t half = std::bit_floor(values.size() - 1);
  float a = tree({values.begin(), values.begin() + static_cast<std::ptrdiff_t>(half)}, combine),
        b = tree({values.begin() + static_cast<std::ptrdiff_t>(half), values.end()}, combine);
  return combine == Combine::max ? std::max(a, b) : a + b;
}

template <class Visit> void for_each_index(const Box& box, const Visit& visit) {
  std::vector<int64_t> at;
  for (const Range& range : box)
    at.push_back(range.begin);
  for (;;) {
    visit(at);
    size_t d = box.size();
    while (d > 0 && ++at[d - 1] == box[d - 1].end) {
      at[d - 1] = box[d - 1].begin;
      --d;
    }
    if (d == 0)
      return;
  }
}

class Runner {
public:
  Runner(Case c, std::unique_ptr<Session> session) : case_(std::move(c)), s_(std::move(session)) {}

  /// Runs once on random sources and compares bit for bit.
  void check(unsigned seed) {
    SCOPED_TRACE(fmt::format("{} from {} to {}{}{}", to_string(case_.exchange.kind()),
                             print(case_.exchange.from), print(case_.exchange.to),
                             case_.nhwc ? " nhwc" : "", case_.in_place ? " in place" : ""));
    const Exchange& e = case_.exchange;
    std::mt19937 random(seed);
    std::vector<std::vector<float>> sources;
    s_->poison(std::byte{0xff});
    for (int i = 0; i < e.from.devices(); ++i) {
      sources.emplace_back(static_cast<size_t>(elements(e.from.at(i))));
      for (float& x : sources.back())
        x = static_cast<float>(random()) / 1e9f - 2.0f;
      if (e.from.combine == Combine::none) // alike where several have the same
        fill_logical(sources.back(), e.from.at(i));
      std::span<std::byte> feed = s_->feed("train", fmt::format("x{}", i));
      ASSERT_EQ(feed.size(), sources.back().size() * 4);
      if (!feed.empty())
        std::memcpy(feed.data(), sources.back().data(), feed.size());
    }
    s_->run("train");
    for (int i = 0; i < e.to.devices(); ++i)
      check_result(i, sources);
  }

private:
  void fill_logical(std::vector<float>& values, const Box& box) const {
    if (!is_empty(box))
      for_each_index(box, [&](const std::vector<int64_t>& at) {
        int64_t id = 0;
        for (int64_t index : at)
          id = id * 1009 + index;
        values[offset_of(at, box, case_.nhwc)] = static_cast<float>(id);
      });
  }

  void check_result(int device, const std::vector<std::vector<float>>& sources) const {
    const Exchange& e = case_.exchange;
    std::span<const float> got = s_->output_of<float>("train", fmt::format("y{}", device));
    ASSERT_EQ(static_cast<int64_t>(got.size()), elements(e.to.at(device)));
    if (is_empty(e.to.at(device)))
      return;
    int wrong = 0;
    for_each_index(e.to.at(device), [&](const std::vector<int64_t>& at) {
      std::vector<float> parts;
      for (int j = 0; j < e.from.devices(); ++j)
        if (holds(e.from.at(j), at))
          parts.push_back(sources[static_cast<size_t>(j)][offset_of(at, e.from.at(j), case_.nhwc)]);
      float want = e.from.combine == Combine::none ? parts.at(0) : tree(parts, e.from.combine);
      wrong += std::memcmp(&want, &got[offset_of(at, e.to.at(device), case_.nhwc)], 4) != 0;
    });
    EXPECT_EQ(wrong, 0) << "elements of device " << device;
  }

  Case case_;
  std::unique_ptr<Session> s_;
};

std::vector<DeviceSpec> specs(const std::string& kind, int devices) {
  std::vector<DeviceSpec> list;
  for (int i = 0; i < devices; ++i)
    list.push_back({.name = fmt::format("{}:{}", kind, i)});
  return list;
}

std::unique_ptr<Session> session_on(const std::string& kind, Plan plan) {
  if (kind == "fake") {
    std::vector<std::unique_ptr<Device>> devices;
    for (const DeviceSpec& spec : specs(kind, plan.devices))
      devices.push_back(std::make_unique<FakeDevice>(spec));
    return std::make_unique<Session>(plan, "", std::move(devices));
  }
  plan.target = kind;
  return std::make_unique<Session>(plan, "", specs(kind, plan.devices));
}

std::unique_ptr<Session> session_on_one_gpu(Plan plan) {
  plan.target = first_gpu()->str();
  return std::make_unique<Session>(
      plan, "", std::vector<DeviceSpec>(static_cast<size_t>(plan.devices), {.name = "cuda:0"}));
}

void check(const Case& c, const std::string& kind = "cpu") {
  Runner runner(c, session_on(kind, plan_of(c)));
  for (unsigned seed = 0; seed < 3; ++seed)
    runner.check(seed);
}

/// The exchanges of a tensor that networks need, over so many devices.
std::vector<Exchange> exchanges(const Shape& shape, int devices) {
  const Sharding all = replicated(shape, devices), one = on_device(shape, devices, devices - 1);
  const Sharding rows = cut_along(shape, 0, even_bounds(shape[0], devices));
  const Sharding columns = cut_along(shape, 1, even_bounds(shape[1], devices));
  std::vector<int64_t> uneven = even_bounds(shape[0], devices);
  for (size_t i = 1; i + 1 < uneven.size(); ++i)
    uneven[i] = std::min<int64_t>(shape[0], uneven[i] + 1); // the last may have nothing
  const Sharding other_rows = cut_along(shape, 0, uneven);
  Sharding grown = rows;
  for (Box& box : grown.boxes)
    if (!is_empty(box))
      box[0] = {std::max<int64_t>(0, box[0].begin - 1), std::min(shape[0], box[0].end + 1)};
  std::vector<Exchange> list;
  for (Combine combine : {Combine::sum, Combine::max})
    for (const Sharding& to : {all, rows, columns, other_rows, one, grown})
      list.push_back(exchange(shape, with(all, combine), to));
  list.push_back(exchange(shape, with(grown, Combine::sum), rows));
  list.push_back(exchange(shape, with(grown, Combine::sum), grown));
  for (const Sharding& from : {rows, columns, other_rows, one, all, grown})
    for (const Sharding& to : {all, rows, columns, other_rows, one, grown})
      list.push_back(exchange(shape, from, to));
  return list;
}

TEST(Exchanges, AllKindsOnTwoToEightDevices) {
  for (int devices : {1, 2, 3, 4, 8})
    for (const Exchange& e : exchanges({8, 5}, devices))
      for (bool in_place : {false, true})
        check({e, false, in_place});
}

TEST(Exchanges, ImagesInBothLayouts) {
  for (int devices : {2, 3})
    for (const Exchange& e : exchanges({4, 6, 3, 5}, devices))
      for (bool nhwc : {false, true})
        check({e, nhwc, true});
}

TEST(Exchanges, LargeTensorsGoInChunks) {
  for (int devices : {2, 4, 8}) {
    const Shape shape = {97, 211};
    const Exchange sum =
        exchange(shape, with(replicated(shape, devices), Combine::sum), replicated(shape, devices));
    ASSERT_FALSE(steps_of(sum).moves.empty()) << "not in chunks";
    for (bool in_place : {false, true})
      check({sum, false, in_place});
  }
  for (const Exchange& e : exchanges({64, 300}, 3))
    check({e, false, true});
}

TEST(Exchanges, OfSomeDevicesOnly) {
  const Shape shape = {80, 90};
  Sharding some = replicated(shape, 4), others = some;
  some.boxes[1] = {};
  others.boxes[0] = others.boxes[3] = {};
  for (bool in_place : {false, true}) {
    check({exchange(shape, with(some, Combine::sum), some), false, in_place});
    check({exchange(shape, with(some, Combine::sum), others), false, in_place});
    check({exchange(shape, some, others), false, in_place});
  }
}

TEST(Exchanges, OnTheEmulator) {
  for (const Exchange& e : exchanges({4, 5}, 2))
    for (bool in_place : {false, true})
      check({e, false, in_place}, "emu");
}

TEST(Exchanges, WhereTheHostDoesNotSeeTheMemory) {
  for (int devices : {2, 3})
    for (const Exchange& e : exchanges({6, 5}, devices))
      for (bool in_place : {false, true})
        check({e, false, in_place}, "fake");
}

TEST(ExchangesGpu, BetweenDevicesThatShareAGpu) {
  if (!first_gpu())
    GTEST_SKIP() << no_gpu;
  for (const Exchange& e : exchanges({6, 5}, 3))
    for (bool in_place : {false, true}) {
      const Case c{e, false, in_place};
      Runner(c, session_on_one_gpu(plan_of(c))).check(1);
    }
}

TEST(Exchanges, OfIntegers) {
  const Shape shape = {3};
  const Exchange e =
      exchange(shape, with(replicated(shape, 3), Combine::sum), replicated(shape, 3), DType::i32);
  std::unique_ptr<Session> session = session_on("cpu", plan_of({e}));
  for (int32_t i = 0; i < 3; ++i) {
    const int32_t values[] = {i, 1 << 24, 1};
    std::memcpy(session->feed("train", fmt::format("x{}", i)).data(), values, sizeof values);
  }
  session->run("train");
  for (const char* y : {"y0", "y1", "y2"}) {
    std::span<const int32_t> got = session->output_of<int32_t>("train", y);
    EXPECT_EQ(std::vector<int32_t>(got.begin(), got.end()), (std::vector{3, 3 << 24, 3}));
  }
}

} // namespace
} // namespace netc::test
