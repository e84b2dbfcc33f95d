// Predicted times against sums made by hand.

#include "passes/partition/cost.h"
#include "passes/partition/simulate.h"

#include "tests/passes/pass_support.h"
#include "tools/driver/models.h"

#include <gmock/gmock.h>

namespace netc::test {
namespace {

/// Two devices on which everything is a round number.
MachineProfile machine() {
  const DeviceProfile device{.name = "d",
                             .flops_per_second = 1e9,
                             .compute_efficiency = 0.5,
                             .bytes_per_second = 1e8,
                             .memory_efficiency = 0.25,
                             .launch_seconds = 1e-3};
  return {"m", {device, device, device, device}, {.latency_seconds = 0.5, .bytes_per_second = 1e3}};
}

Graph linear_graph(int64_t batch) {
  return forward_of("name: n\ninput: {channels: 4, height: 5, width: 5}\nlayers:\n"
                    "  - {name: fc, type: linear, features: 10, bias: false}\n",
                    batch);
}

const Node& node_of(const Graph& graph, const std::string& name) {
  return *graph.find(name)->node;
}

TEST(NodeCost, IsTheRoofline) {
  const Graph graph = linear_graph(8);
  const Node& fc = node_of(graph, "fc");
  const double flops = 2.0 * 8 * 100 * 10, bytes = 4.0 * (8 * 100 + 10 * 100 + 8 * 10);
  DeviceProfile device = machine().devices[0];
  EXPECT_DOUBLE_EQ(node_seconds(fc, device), bytes / 0.25e8 + 1e-3);
  device.bytes_per_second = 1e12;
  EXPECT_DOUBLE_EQ(node_seconds(fc, device), flops / 0.5e9 + 1e-3);
  device.operators = {{"linear", 0.1}};
  EXPECT_DOUBLE_EQ(node_seconds(fc, device), flops / 0.1e9 + 1e-3);
  EXPECT_EQ(node_seconds(node_of(graph, "fc.weight"), device), 0);
}

TEST(NodeCost, IsWhatWasMeasured) {
  const Graph graph = linear_graph(8), other = linear_graph(16);
  const Node &fc = node_of(graph, "fc"), &larger = node_of(other, "fc");
  EXPECT_THAT(node_key(fc), testing::StartsWith("linear(f32[8,100], f32[10,100]) {"));
  EXPECT_NE(node_key(fc), node_key(larger));
  const MeasuredTimes measured{.seconds = {{node_key(fc), 7}}};
  const DeviceProfile device = machine().devices[0];
  EXPECT_EQ(node_seconds(fc, device, &measured), 7);
  EXPECT_EQ(node_seconds(larger, device, &measured), node_seconds(larger, device));
}

TEST(NodeCost, KeysTellApartWhatTakesAnotherTimeAndNothingElse) {
  Graph graph =
      forward_of("name: n\ninput: {channels: 4, height: 9, width: 9}\nlayers:\n"
                 "  - {name: a, type: conv2d, filters: 4, kernel: 3, pad: 1}\n"
                 "  - {name: b, type: conv2d, filters: 4, kernel: 3, pad: 1}\n"
                 "  - {name: c, type: conv2d, filters: 4, kernel: 3, pad: 1, groups: 2}\n",
                 2);
  EXPECT_EQ(node_key(node_of(graph, "a")), node_key(node_of(graph, "b")));
  EXPECT_NE(node_key(node_of(graph, "b")), node_key(node_of(graph, "c")));
  const std::string before = node_key(node_of(graph, "b"));
  node_of(graph, "b").operands[0]->layout = Layout::nhwc;
  EXPECT_NE(node_key(node_of(graph, "b")), before);
}

/// 1000 rows of 10 f32 cut in halves.
const Shape shape{1000, 10};
const Sharding halves = cut_along(shape, 0, {0, 500, 1000});

Sharding partial_sums(int devices) {
  Sharding sums = replicated(shape, devices);
  sums.combine = Combine::sum;
  return sums;
}

Exchange exchange(Sharding from, Sharding to) {
  return {"t", {DType::f32, shape}, std::move(from), std::move(to)};
}

TEST(ExchangeCost, IsLatencyAndBytes) {
  const MachineProfile m = machine();
  // Each half is 20 kB: one message in, and what the device has already is copied.
  const double copy = 2 * 20000 / 0.25e8;
  EXPECT_DOUBLE_EQ(exchange_seconds(exchange(halves, replicated(shape, 2)), m), copy + 0.5 + 20);
  // All to one: its own half and the other one.
  EXPECT_DOUBLE_EQ(exchange_seconds(exchange(halves, on_device(shape, 2, 1)), m), copy + 0.5 + 20);
  // A whole tensor.
  EXPECT_DOUBLE_EQ(exchange_seconds(exchange(on_device(shape, 2, 0), on_device(shape, 2, 1)), m),
                   0.5 + 40);
}

TEST(ExchangeCost, CountsBothRoundsOfAnAllReduce) {
  // 10000 elements on four devices: each combines a quarter, then pulls the other three.
  const Traffic traffic = traffic_of(exchange(partial_sums(4), replicated(shape, 4)));
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(traffic.messages[static_cast<size_t>(i)], 6);
    EXPECT_EQ(traffic.bytes_in(i), 2 * 3 * 10000);
    EXPECT_EQ(traffic.bytes_out(i), 2 * 3 * 10000);
    // Its own quarter, read and written, and what is combined once more: others read the source.
    EXPECT_EQ(traffic.local_bytes[static_cast<size_t>(i)], 4 * 10000);
  }
  EXPECT_DOUBLE_EQ(exchange_seconds(traffic, machine()), 4 * 10000 / 0.25e8 + 6 * 0.5 + 60);
}

TEST(ExchangeCost, NothingSentTakesNoLink) {
  const MachineProfile m = machine();
  EXPECT_EQ(exchange_seconds(exchange(replicated(shape, 2), replicated(shape, 2)), m), 0);
  // Each device cuts its half out of its own.
  EXPECT_DOUBLE_EQ(exchange_seconds(exchange(replicated(shape, 2), halves), m), 2 * 20000 / 0.25e8);
}

TEST(ExchangeCost, LinksMayBeOneWayOrShared) {
  MachineProfile m = machine();
  const Traffic traffic = traffic_of(exchange(halves, replicated(shape, 2)));
  const double setup = setup_seconds(traffic, 0, m);
  m.link.full_duplex = false;
  EXPECT_DOUBLE_EQ(exchange_seconds(traffic, m), setup + 40);
  const Sharding quarters = cut_along(shape, 0, {0, 250, 500, 750, 1000});
  m.link = {0, 1e3, true, true};
  const double copy = 2 * 10000 / 0.25e8;
  EXPECT_DOUBLE_EQ(exchange_seconds(exchange(quarters, replicated(shape, 4)), m), copy + 4 * 30);
  m.link.shared = false;
  EXPECT_DOUBLE_EQ(exchange_seconds(exchange(quarters, replicated(shape, 4)), m), copy + 30);
  m.devices.resize(3);
  EXPECT_THROW(exchange_seconds(exchange(quarters, replicated(shape, 4)), m), InternalError);
}

// Where all devices send as much as they receive, events add nothing to the sum.
TEST(ExchangeCost, IsWhatASimulationOfItAloneTakes) {
  MachineProfile m = machine();
  for (const bool full_duplex : {true, false})
    for (const bool shared : {true, false})
      for (const Sharding& to :
           {replicated(shape, 4), cut_along(shape, 0, {0, 250, 500, 750, 1000})}) {
        m.link.full_duplex = full_duplex;
        m.link.shared = shared;
        const Traffic traffic = traffic_of(exchange(partial_sums(4), to));
        StepSchedule step{{}, {traffic.bytes}, m.link};
        for (int i = 0; i < 4; ++i)
          step.devices.push_back({{"t", setup_seconds(traffic, i, m), 0}});
        EXPECT_NEAR(simulate(step).seconds, exchange_seconds(traffic, m), 1e-9);
      }
}

// "One weird trick" (arXiv 1404.5997) reports 98.05 h for 90 epochs on one K20: 391 ms a step of
// 128; its network is smaller by a hundredth.
TEST(NodeCost, OneK20TakesAboutWhatWasPublished) {
  Graph graph = forward_of(read_text(source_root() / "models/alexnet.yaml"), 128);
  PassContext context = context_of(Mode::train);
  run_until(graph, context, "autodiff");
  double seconds = 0;
  for (const auto& node : graph.nodes)
    seconds += node_seconds(*node, load_machine("k20").devices[0]);
  fmt::print("a training step of alexnet.yaml at batch 128 on a K20: {:.0f} ms\n", seconds * 1e3);
  EXPECT_NEAR(seconds, 0.391, 0.1);
}

} // namespace
} // namespace netc::test
