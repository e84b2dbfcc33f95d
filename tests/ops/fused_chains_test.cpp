// What fuses into one kernel: the chains that the design promises, and shapes that are easy to get
// wrong.

#include "ir/ops.h"
#include "tests/support/random_network.h"
#include "tests/support/run_graph.h"

#include <gtest/gtest.h>

namespace netc::test {
namespace {

/// Adds one of `relu`, `lrn`, `pool`.
Value* add_layer(GraphBuilder& builder, const std::string& kind, Value* x) {
  if (kind == "relu")
    return builder.value(ops::relu, kind, {x});
  if (kind == "lrn")
    return builder.value(ops::lrn, kind, {x},
                         {{"n", int64_t{5}},
                          {"k", 2.0},
                          {"alpha", 1e-4},
                          {"beta", 0.75},
                          {"alpha_over_n", false},
                          {"groups", int64_t{2}}});
  return builder.value(ops::max_pool2d, kind, {x},
                       {{"kernel", std::vector<int64_t>{3, 3}},
                        {"stride", std::vector<int64_t>{2, 2}},
                        {"rounding", std::string("floor")}});
}

Value* add_feed(GraphBuilder& builder, const std::string& name, std::vector<int64_t> shape,
                const std::string& dtype = "f32") {
  return builder.value(ops::feed, name, {}, {{"shape", std::move(shape)}, {"dtype", dtype}});
}

int count_kernels(const Graph& graph) {
  int kernels = 0;
  for (const auto& node : graph.nodes)
    kernels += !node->operands.empty();
  return kernels;
}

/// The chains the design promises to be one kernel each.
const std::vector<std::vector<std::string>>& promised_chains() {
  static const std::vector<std::vector<std::string>> chains = {
      {"relu", "lrn", "pool"}, {"lrn", "pool", "relu"}, {"relu", "pool", "lrn"}, {"relu", "pool"}};
  return chains;
}

TEST(FusedChains, AreOneKernelForward) {
  for (const auto& chain : promised_chains()) {
    Graph graph("chain");
    GraphBuilder builder(graph);
    Value* value = add_feed(builder, "x", {2, 16, 13, 13});
    for (const std::string& kind : chain)
      value = add_layer(builder, kind, value);
    graph.outputs.push_back({"y", value});
    PreparedGraph prepared = prepare_graph(graph, {.fuse = true});
    EXPECT_EQ(count_kernels(prepared.graph), 1) << print(prepared.graph);
  }
}

TEST(FusedChains, AreOneKernelBackward) {
  for (const auto& chain : promised_chains()) {
    Graph graph("chain");
    GraphBuilder builder(graph);
    Value* b = builder.value(ops::parameter, "b", {}, {{"shape", std::vector<int64_t>{16}}});
    Value* value = builder.value(ops::bias, "bias", {add_feed(builder, "x", {2, 16, 13, 13}), b});
    for (const std::string& kind : chain)
      value = add_layer(builder, kind, value);
    value = builder.value(ops::flatten, "flat", {value});
    Value* labels = add_feed(builder, "labels", {2}, "i32");
    graph.outputs.push_back(
        {"loss", builder.value(ops::softmax_cross_entropy, "loss", {value, labels})});
    PreparedGraph prepared = prepare_training(graph, {}, {.fuse = true});
    size_t gradients = 0;
    for (const auto& node : prepared.graph.nodes) {
      size_t here = 0;
      for (const auto& member : node->body ? node->body->nodes : prepared.graph.nodes)
        here += (!node->body ? member == node : true) &&
                (member->op == &ops::relu_grad || member->op == &ops::lrn_grad ||
                 member->op == &ops::max_pool2d_grad);
      gradients = std::max(gradients, here);
    }
    EXPECT_EQ(gradients, chain.size()) << print(prepared.graph);
  }
}

/// Runs a graph fused, on the CPU and on the emulator, and expects that many kernels and the
/// reference's results.
void expect_kernels(const Graph& graph, int kernels) {
  Random random(1);
  Tensors inputs = random_inputs(graph, random);
  Tensors want = interpret_outputs(graph, inputs);
  for (const char* target : {"cpu", "emu"}) {
    RunOptions options{.target = parse_target(target), .precision = Precision::fp32, .fuse = true};
    PreparedGraph prepared = prepare_graph(graph, options);
    EXPECT_EQ(count_kernels(prepared.graph), kernels) << print(prepared.graph);
    expect_sound_kernels(prepared.graph, false);
    Tensors got = compile(std::move(prepared), options).run(inputs);
    for (const auto& [name, tensor] : want)
      EXPECT_LT(relative_error(got.at(name), tensor), 2e-6) << name << " on " << target;
  }
}

Value* same_size_pool(GraphBuilder& builder, Value* x) {
  return builder.value(ops::max_pool2d, "pool", {x},
                       {{"kernel", std::vector<int64_t>{3, 3}},
                        {"pad", std::vector<int64_t>{1, 1, 1, 1}},
                        {"rounding", std::string("floor")}});
}

TEST(FusedShapes, ValueReadOnBothSidesOfAWindow) {
  Graph graph("both-sides");
  GraphBuilder builder(graph);
  Value* relu = add_layer(builder, "relu", add_feed(builder, "x", {2, 6, 7, 5}));
  Value* pool = same_size_pool(builder, add_layer(builder, "lrn", relu));
  graph.outputs.push_back({"y", builder.value(ops::add, "sum", {pool, relu})});
  expect_kernels(graph, 2);
}

TEST(FusedShapes, TwoWindowsOverOneValue) {
  Graph graph("two-windows");
  GraphBuilder builder(graph);
  Value* lrn = add_layer(builder, "lrn", add_feed(builder, "x", {2, 6, 7, 5}));
  Value* wide = builder.value(ops::avg_pool2d, "wide", {lrn},
                              {{"kernel", std::vector<int64_t>{5, 5}},
                               {"pad", std::vector<int64_t>{2, 2, 2, 2}},
                               {"rounding", std::string("floor")}});
  graph.outputs.push_back(
      {"y", builder.value(ops::add, "sum", {same_size_pool(builder, lrn), wide})});
  expect_kernels(graph, 2);
}

TEST(FusedShapes, WindowsOverAValueAndItsMap) {
  Graph graph("value-and-map");
  GraphBuilder builder(graph);
  Value* tanh = builder.value(ops::tanh, "tanh", {add_feed(builder, "x", {2, 6, 7, 5})});
  Value* wide = builder.value(ops::avg_pool2d, "wide", {add_layer(builder, "lrn", tanh)},
                              {{"kernel", std::vector<int64_t>{5, 5}},
                               {"pad", std::vector<int64_t>{2, 2, 2, 2}},
                               {"rounding", std::string("floor")}});
  graph.outputs.push_back(
      {"y", builder.value(ops::add, "sum", {same_size_pool(builder, tanh), wide})});
  expect_kernels(graph, 2);
}

TEST(FusedShapes, WindowOfASum) {
  Graph graph("window-of-a-sum");
  GraphBuilder builder(graph);
  Value *x = add_feed(builder, "x", {2, 6, 7, 5}), *z = add_feed(builder, "z", {2, 6, 7, 5});
  Value* sum = builder.value(ops::add, "sum", {add_layer(builder, "relu", x), z, x});
  Value* pool = add_layer(builder, "pool", sum);
  graph.outputs.push_back({"y", add_layer(builder, "lrn", pool)});
  expect_kernels(graph, 1);
}

TEST(FusedShapes, MapsOfAVector) {
  Graph graph("vector");
  GraphBuilder builder(graph);
  Value* x = add_feed(builder, "x", {13});
  Value* y = builder.value(ops::tanh, "tanh",
                           {builder.value(ops::scale, "scale", {x}, {{"factor", 2.0}})});
  graph.outputs.push_back({"y", builder.value(ops::add, "sum", {y, x, y})});
  expect_kernels(graph, 1);
}

TEST(FusedShapes, OneElement) {
  Graph graph("one");
  GraphBuilder builder(graph);
  Value* y = builder.value(ops::tanh, "tanh", {add_feed(builder, "x", {1})});
  graph.outputs.push_back({"y", builder.value(ops::scale, "scale", {y}, {{"factor", 3.0}})});
  expect_kernels(graph, 1);
}

TEST(FusedShapes, LongChainsStaySmall) {
  Graph graph("long");
  GraphBuilder builder(graph);
  Value* y = add_feed(builder, "x", {2, 6, 3, 3});
  for (int i = 0; i < 40; ++i)
    y = builder.value(ops::add, "double", {add_layer(builder, "relu", y), y});
  y = builder.value(ops::scale, "scale", {y}, {{"factor", 1e-9}});
  graph.outputs.push_back({"y", y});
  expect_kernels(graph, 1);
}

TEST(FusedShapes, ResultsInTheMiddleAreWritten) {
  Graph graph("middle");
  GraphBuilder builder(graph);
  Value* tanh = builder.value(ops::tanh, "tanh", {add_feed(builder, "x", {2, 6, 7, 5})});
  Value* lrn = add_layer(builder, "lrn", tanh);
  graph.outputs.push_back({"middle", lrn});
  graph.outputs.push_back({"y", builder.value(ops::sigmoid, "sigmoid", {lrn})});
  expect_kernels(graph, 1);
}

TEST(FusedShapes, EpiloguesOfMaps) {
  Graph graph("epilogue");
  GraphBuilder builder(graph);
  Value *x = add_feed(builder, "x", {2, 6, 7, 5}), *other = add_feed(builder, "z", {2, 5, 7, 5});
  Value* w = builder.value(ops::parameter, "w", {}, {{"shape", std::vector<int64_t>{5, 6, 1, 1}}});
  Value* b = builder.value(ops::parameter, "b", {}, {{"shape", std::vector<int64_t>{5}}});
  Value* y = builder.value(ops::bias, "bias", {builder.value(ops::conv2d, "conv", {x, w}), b});
  graph.outputs.push_back({"before", y});
  y = builder.value(ops::add, "sum", {other, add_layer(builder, "relu", y), other});
  Value *seed = add_feed(builder, "seed", {2}, "i32"),
        *step = add_feed(builder, "step", {1}, "i32");
  y = builder.value(ops::dropout, "dropout", {y, seed, step}, {{"rate", 0.4}});
  graph.outputs.push_back({"y", y});
  expect_kernels(graph, 1);
}

} // namespace
} // namespace netc::test
