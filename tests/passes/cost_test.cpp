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

TEST(NodeCost, KeysTellHowMemoryHoldsValues) {
  const Graph graph = linear_graph(8);
  const Node& fc = node_of(graph, "fc");
  const DeviceProfile device = machine().devices[0];
  const std::string plain = node_key(fc);
  EXPECT_EQ(unrounded_key(fc), plain);
  fc.operands[0]->storage = DType::bf16;
  const std::string read = node_key(fc);
  EXPECT_THAT(read, testing::StartsWith("linear(bf16[8,100], f32[10,100]) {"));
  fc.result()->storage = DType::bf16;
  const std::string both = node_key(fc);
  EXPECT_EQ(both, read + " -> bf16");
  fc.result()->storage = DType::tf32;
  EXPECT_EQ(node_key(fc), read + " -> tf32");
  EXPECT_EQ(unrounded_key(fc), plain);
  // Kernels over other elements say nothing of its time, but for want of its own.
  MeasuredTimes measured{.seconds = {{plain, 7}, {both, 6}}};
  EXPECT_EQ(node_seconds(fc, device, &measured), node_seconds(fc, device));
  measured.shares = {{plain, 5}};
  EXPECT_EQ(node_seconds(fc, device, &measured), 5);
  measured.seconds[node_key(fc)] = 4;
  EXPECT_EQ(node_seconds(fc, device, &measured), 4);
}

/// Two convolutions with bias and relu, each of which becomes one node.
Graph fused_graph(const std::string& first, const std::string& second, int64_t batch) {
  Graph graph =
      forward_of(fmt::format("name: n\ninput: {{channels: 4, height: 8, width: 8}}\nlayers:\n"
                             "  - {{name: {0}, type: conv2d, filters: 4, kernel: 3, pad: 1}}\n"
                             "  - {{name: r{0}, type: relu}}\n"
                             "  - {{name: {1}, type: conv2d, filters: 4, kernel: 3, pad: 1}}\n"
                             "  - {{name: r{1}, type: relu}}\n",
                             first, second),
                 batch);
  PassContext context = context_of(Mode::infer);
  run_until(graph, context, "fuse-epilogue");
  return graph;
}

std::vector<const Node*> fused_nodes(const Graph& graph) {
  std::vector<const Node*> nodes;
  for (const auto& node : graph.nodes)
    if (node->body)
      nodes.push_back(node.get());
  return nodes;
}

TEST(FusedNodeCost, KeysTellWhatIsComputedAndNotByWhom) {
  const Graph graph = fused_graph("a", "b", 2), renamed = fused_graph("x", "y", 2),
              larger = fused_graph("a", "b", 3);
  const std::vector<const Node*> nodes = fused_nodes(graph);
  ASSERT_EQ(nodes.size(), 2u);
  EXPECT_THAT(node_key(*nodes[0]),
              testing::AllOf(testing::HasSubstr("conv2d(%0 f32[2,4,8,8]"),
                             testing::HasSubstr("; relu(%"), testing::EndsWith("]")));
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(node_key(*nodes[i]), node_key(*nodes[0]));
    EXPECT_EQ(node_key(*nodes[i]), node_key(*fused_nodes(renamed)[i]));
    EXPECT_NE(node_key(*nodes[i]), node_key(*fused_nodes(larger)[i]));
  }
  // The same members in another order of operands, or of which another value is the result.
  Graph other = graph.clone();
  Graph& body = *fused_nodes(other)[0]->body;
  body.outputs[0].value = body.nodes[body.nodes.size() - 2]->result();
  EXPECT_NE(node_key(*fused_nodes(other)[0]), node_key(*nodes[0]));
  // What the text form of graphs keeps is enough for the key.
  EXPECT_EQ(node_key(*fused_nodes(parse_graph(print(graph)))[1]), node_key(*nodes[1]));
}

TEST(FusedNodeCost, IsAllArithmeticOrTheBytesThatCrossItsBorder) {
  const Graph graph = fused_graph("a", "b", 2);
  const Node& node = *fused_nodes(graph)[0];
  const double elements = 2 * 4 * 8 * 8, weights = 4 * 4 * 9 + 4;
  double flops = 0;
  for (const Node* member : executed_members(node))
    flops += static_cast<double>(member->op->flops(*member));
  EXPECT_EQ(executed_members(node).size(), 3u);
  EXPECT_GT(flops, 2 * elements); // bias, relu, and the convolution
  DeviceProfile device = machine().devices[0];
  EXPECT_DOUBLE_EQ(node_seconds(node, device), 4 * (2 * elements + weights) / 0.25e8 + 1e-3);
  device.bytes_per_second = 1e12;
  EXPECT_DOUBLE_EQ(node_seconds(node, device), flops / 0.5e9 + 1e-3);
  // Operators have their own efficiencies within fused nodes, too.
  device.operators = {{"relu", 0.01}};
  EXPECT_DOUBLE_EQ(node_seconds(node, device),
                   (flops - elements) / 0.5e9 + elements / 0.01e9 + 1e-3);
  const MeasuredTimes measured{.seconds = {{node_key(node), 7}}};
  EXPECT_EQ(node_seconds(node, device, &measured), 7);
}

TEST(FusedNodeCost, KeysTellHowMemoryHoldsValues) {
  const Graph graph = fused_graph("a", "b", 2);
  const Node& node = *fused_nodes(graph)[1];
  const std::string plain = node_key(node);
  node.result()->storage = DType::bf16;
  EXPECT_THAT(node_key(node), testing::HasSubstr(" -> bf16 ["));
  EXPECT_EQ(node_key(*fused_nodes(parse_graph(print(graph)))[1]), node_key(node));
  EXPECT_EQ(unrounded_key(node), plain);
}

TEST(NodeCost, SharesOfFusedNodesAreSecondChoice) {
  const Graph graph = linear_graph(8);
  const Node& fc = node_of(graph, "fc");
  const DeviceProfile device = machine().devices[0];
  MeasuredTimes measured{.seconds = {}, .shares = {{node_key(fc), 5}}};
  EXPECT_EQ(node_seconds(fc, device, &measured), 5);
  measured.seconds[node_key(fc)] = 7;
  EXPECT_EQ(node_seconds(fc, device, &measured), 7);
}

TEST(NodeCost, PartsOfOneTensorHaveOneKey) {
  auto dropout = [](int64_t at, int64_t stream, double rate) {
    Graph graph("g");
    GraphBuilder builder(graph);
    auto feed = [&](const char* name, const Shape& shape, const char* dtype) {
      return builder.value(ops::feed, name, {}, {{"shape", shape}, {"dtype", std::string(dtype)}});
    };
    Value* x = feed("x", {4, 6}, "f32");
    Value* seed = feed("seed", {2}, "i32");
    Value* step = feed("step", {1}, "i32");
    const Value* y = builder.value(ops::dropout, "y", {x, seed, step},
                                   {{"rate", rate},
                                    {"mode", std::string("inverted")},
                                    {"stream", stream},
                                    {"whole", std::vector<int64_t>{4, 12}},
                                    {"at", std::vector<int64_t>{0, at}}});
    return node_key(*y->node);
  };
  EXPECT_EQ(dropout(0, 1, 0.5), dropout(6, 2, 0.5));
  EXPECT_NE(dropout(0, 1, 0.5), dropout(0, 1, 0.25));
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
