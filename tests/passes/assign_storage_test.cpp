// What memory holds rounded, and what it never does.

#include "tests/passes/pass_support.h"

namespace netc::test {
namespace {

constexpr const char* network = R"(
name: net
input: {channels: 8, height: 8, width: 8}
layers:
  - {name: conv1, type: conv2d, filters: 16, kernel: 3, pad: 1}
  - {name: relu1, type: relu}
  - {name: conv2, type: conv2d, filters: 16, kernel: 3, pad: 1, groups: 2}
  - {name: pool2, type: max_pool2d, kernel: 2, stride: 2, rounding: floor}
  - {name: ip1, type: linear, features: 24}
  - {name: relu3, type: relu}
  - {name: ip2, type: linear, features: 8}
  - {name: loss, type: softmax_cross_entropy}
)";

class AssignStorage : public testing::Test {
protected:
  AssignStorage() { context_.target = parse_target("emu"); }

  /// The training step in that precision after the pass.
  Graph step(const std::string& yaml, Precision precision) {
    Graph graph = forward_of(yaml, 4);
    context_.precision = precision;
    run_until(graph, context_, "assign-storage");
    return graph;
  }
  static std::string held(const Graph& graph, const std::string& value) {
    const Value* found = graph.find(value);
    return found ? std::string(to_string(found->stored().dtype)) : "not there";
  }
  static int rounded(const Graph& graph) {
    int count = 0;
    for (const auto& node : graph.nodes)
      for (const auto& result : node->results)
        count += result->storage.has_value();
    return count;
  }

  PassContext context_ = context_of(Mode::train);
};

TEST_F(AssignStorage, Golden) {
  Graph graph = forward_of(network, 4);
  context_.precision = Precision::bf16;
  run_until(graph, context_, "fuse-updates");
  expect_pass_golden("assign-storage", "assign-storage", graph, context_);
}

TEST_F(AssignStorage, WhatContractionsReadIsRoundedByWhoWritesIt) {
  const Graph graph = step(network, Precision::tf32);
  for (const char* value : {"data", "relu1.fused", "ip1.flatten", "relu3.fused", "loss.grad",
                            "pool2.grad", "relu1.grad.fused"})
    EXPECT_EQ(held(graph, value), "tf32") << value;
  // f32: what no contraction reads, in tf32, as it would be no fewer bytes; and logits.
  for (const char* value : {"conv2.add_bias.fused", "pool2", "ip2.add_bias.fused"})
    EXPECT_EQ(held(graph, value), "f32") << value;
}

TEST_F(AssignStorage, ImagesOfBf16ContractionsAreHalfTheBytes) {
  const Graph graph = step(network, Precision::bf16);
  for (const char* value : {"data", "relu1.fused", "conv2.add_bias.fused", "pool2", "ip1.flatten",
                            "relu3.fused", "loss.grad", "pool2.grad", "relu1.grad.fused"})
    EXPECT_EQ(held(graph, value), "bf16") << value;
  EXPECT_EQ(graph.find("data")->stored().bytes(), 4 * 8 * 8 * 8 * 2);
}

TEST_F(AssignStorage, WeightsLossesAndStateStayF32) {
  for (Precision precision : {Precision::tf32, Precision::bf16}) {
    const Graph graph = step(network, precision);
    for (const auto& node : graph.nodes)
      for (const auto& result : node->results)
        if (node->is("parameter") || node->is("feed") || result->type.shape.size() < 2) {
          EXPECT_FALSE(result->storage) << result->name;
        }
    for (const char* value : {"conv1.weight_grad", "conv2.weight_grad", "ip2.add_bias.fused",
                              "loss", "top1", "loss.probabilities"})
      EXPECT_EQ(held(graph, value), "f32") << value;
    for (const Graph::Store& store : graph.stores)
      EXPECT_FALSE(store.value->storage) << store.value->name;
  }
}

/// Copies move 16 bytes of one group: so many channels must be neighbours.
TEST_F(AssignStorage, ChannelsThatCopiesDoNotDivideStayF32) {
  std::string few = network;
  few.replace(few.find("channels: 8"), 11, "channels: 4");
  EXPECT_EQ(held(step(few, Precision::tf32), "data"), "tf32");
  const Graph bf16 = step(few, Precision::bf16);
  EXPECT_EQ(held(bf16, "data"), "f32");
  // Its weight gradient reads both or none of its operands so; that of conv2 is another.
  EXPECT_EQ(held(bf16, "relu1.grad.fused"), "f32");
  EXPECT_EQ(held(bf16, "relu1.fused"), "bf16");
}

/// A layer that multiplies otherwise reads f32, and so does who shares an operand with it.
TEST_F(AssignStorage, LayersOfOtherPrecisionReadF32) {
  std::string mixed = network;
  mixed.replace(mixed.find("groups: 2"), 9, "groups: 2, precision: fp32");
  const Graph graph = step(mixed, Precision::bf16);
  EXPECT_EQ(held(graph, "relu1.fused"), "f32");
  EXPECT_EQ(held(graph, "pool2.grad"), "f32");
  EXPECT_EQ(held(graph, "data"), "bf16");
  EXPECT_EQ(held(graph, "ip1.flatten"), "bf16");
}

/// Layers that round to different types take turns.
TEST_F(AssignStorage, LayersOfTwoRoundedTypes) {
  std::string mixed = network;
  mixed.replace(mixed.find("groups: 2"), 9, "groups: 2, precision: tf32");
  const Graph graph = step(mixed, Precision::bf16);
  EXPECT_EQ(held(graph, "relu1.fused"), "tf32");
  EXPECT_EQ(held(graph, "pool2.grad"), "tf32");
  EXPECT_EQ(held(graph, "data"), "bf16");
  EXPECT_EQ(held(graph, "ip1.flatten"), "bf16");
}

/// Logits that are an image before they are features.
TEST_F(AssignStorage, LogitsOfConvolutionsStayF32) {
  const Graph graph = step(R"(
name: net
input: {channels: 8, height: 3, width: 3}
layers:
  - {name: conv1, type: conv2d, filters: 16, kernel: 3, pad: 1}
  - {name: conv2, type: conv2d, filters: 16, kernel: 3}
  - {name: flat, type: flatten}
  - {name: loss, type: softmax_cross_entropy}
)",
                           Precision::bf16);
  EXPECT_EQ(held(graph, "conv2.add_bias.fused"), "f32");
  EXPECT_EQ(held(graph, "flat"), "f32");
  EXPECT_EQ(held(graph, "conv1.add_bias.fused"), "bf16");
  EXPECT_EQ(held(graph, "flat.grad"), "bf16");
}

/// A sum of two branches is read by a contraction, the branches are not.
TEST_F(AssignStorage, SumsAndJoins) {
  constexpr const char* residual = R"(
name: net
input: {channels: 8, height: 8, width: 8}
layers:
  - {name: conv1, type: conv2d, filters: 16, kernel: 3, pad: 1}
  - {name: relu1, type: relu}
  - {name: conv2, type: conv2d, filters: 16, kernel: 3, pad: 1}
  - {name: sum, type: add, from: [relu1, conv2]}
  - {name: joined, type: concat, from: [sum, relu1]}
  - {name: ip, type: linear, features: 8}
  - {name: loss, type: softmax_cross_entropy}
)";
  const Graph tf32 = step(residual, Precision::tf32);
  EXPECT_EQ(held(tf32, "relu1.fused"), "tf32") << "conv2 reads it, and so do the sum and the join";
  EXPECT_EQ(held(tf32, "joined"), "f32");
  EXPECT_EQ(held(tf32, "ip.flatten"), "tf32");
  const Graph bf16 = step(residual, Precision::bf16);
  EXPECT_EQ(held(bf16, "joined"), "bf16") << "only its shape changes before `ip` reads it";
}

/// Memory is planned by what is in it; nobody takes over memory of elements of another size.
TEST_F(AssignStorage, MemoryIsPlannedForWhatItHolds) {
  Graph graph = parse_graph(R"(graph g {
  %x = feed() {dtype = "f32", shape = [64, 64]} : f32[64,64]
  %a = relu(%x) : f32[64,64] in bf16
  %b = tanh(%a) : f32[64,64] in bf16
  %c = sigmoid(%b) : f32[64,64]
  %d = relu(%c) : f32[64,64] in tf32
  %sum = channel_sum(%d) : f32[64]
  output sum = %sum
}
)");
  order_nodes(graph, context_);
  plan_memory(graph, context_);
  auto place = [&](const char* name) { return context_.memory.values.at(graph.find(name)); };
  EXPECT_EQ(place("a").bytes, 64 * 64 * 2);
  EXPECT_EQ(place("a").offset, place("b").offset) << "in place";
  EXPECT_EQ(place("c").bytes, 64 * 64 * 4);
  EXPECT_NE(place("c").offset, place("d").offset) << "f32 is not TF32";
  EXPECT_EQ(context_.memory.arena_bytes, 2 * 64 * 64 * 4);
}

/// Any number of rewrites leaves a step that can be computed.
TEST_F(AssignStorage, AsksBeforeEachRewrite) {
  const Graph all = step(network, Precision::bf16);
  for (int64_t allowed = 0; allowed <= rounded(all); ++allowed) {
    Graph graph = forward_of(network, 4);
    run_until(graph, context_, "fuse-updates");
    context_.rewrites_left = allowed;
    const int done = assign_storage(graph, context_);
    EXPECT_LE(done, allowed);
    EXPECT_EQ(held(graph, "data") == "bf16", held(graph, "relu1.grad.fused") == "bf16")
        << allowed << ": conv1's weight gradient reads one of them rounded";
    EXPECT_NO_THROW(verify(graph));
    context_.rewrites_left = INT64_MAX;
  }
}

TEST_F(AssignStorage, OtherTargetsAndExactPlansAreLeftAlone) {
  EXPECT_GT(rounded(step(network, Precision::tf32)), 0);
  EXPECT_EQ(rounded(step(network, Precision::fp32)), 0);
  EXPECT_EQ(rounded(step(network, Precision::x3tf32)), 0);
  for (const char* target : {"cuda:sm_80", "cuda:sm_90", "cuda:compute_90", "cpu"}) {
    context_.target = parse_target(target);
    EXPECT_EQ(rounded(step(network, Precision::tf32)), 0) << target;
  }
  context_.target = parse_target("cuda:sm_90a");
  EXPECT_GT(rounded(step(network, Precision::tf32)), 0);
  context_.exact = true;
  EXPECT_EQ(rounded(step(network, Precision::tf32)), 0);
}

/// An output is for the host.
TEST_F(AssignStorage, OutputsStayF32) {
  Graph graph = forward_of(network, 4);
  context_.mode = Mode::infer;
  context_.precision = Precision::bf16;
  graph.outputs.push_back({"features", graph.find("relu1")});
  run_until(graph, context_, "assign-storage");
  for (const Graph::Output& output : graph.outputs)
    EXPECT_FALSE(output.value->storage) << output.name;
  EXPECT_EQ(held(graph, "data"), "bf16");
}

} // namespace
} // namespace netc::test
