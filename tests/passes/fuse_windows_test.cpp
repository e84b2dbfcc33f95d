// Which chains of maps and windows become one kernel, and which must not.

#include "tests/passes/pass_support.h"

namespace netc::test {
namespace {

using testing::Test;
using Groups = std::vector<std::string>;

const std::string lrn = "type: lrn, n: 3, k: 2, alpha: 0.1, beta: 0.75, alpha_over_n: false}\n";
const std::string pool = "type: max_pool2d, kernel: 3, stride: 2, rounding: floor}\n";

/// Layers behind a convolution that keeps its pixels, before a classifier.
std::string network(const std::string& layers, int size = 9) {
  return fmt::format("name: net\ninput: {{channels: 2, height: {0}, width: {0}}}\nlayers:\n"
                     "  - {{name: conv, type: conv2d, filters: 4, kernel: 1}}\n{1}"
                     "  - {{name: fc, type: linear, features: 3}}\n"
                     "  - {{name: loss, type: softmax_cross_entropy}}\n",
                     size, layers);
}

std::string layer(const std::string& name, const std::string& rest) {
  return "  - {name: " + name + ", " + rest;
}

/// The window groups of a training step, in execution order.
Groups groups_of(const std::string& yaml, Mode mode = Mode::train) {
  Graph graph = forward_of(yaml, 1);
  PassContext context = context_of(mode);
  run_until(graph, context, "fuse-windows");
  return fused_groups(graph, "window");
}

// The bias and the ReLU behind the convolution are left to its epilogue (see fuse-epilogue).

TEST(FuseWindows, ReluLrnPool) {
  Groups groups =
      groups_of(network(layer("relu", "type: relu}\n") + layer("norm", lrn) + layer("pool", pool)));
  EXPECT_EQ(groups, (Groups{"lrn max_pool2d", "max_pool2d_grad lrn_grad relu_grad"}));
}

TEST(FuseWindows, LrnPoolRelu) {
  Groups groups =
      groups_of(network(layer("norm", lrn) + layer("pool", pool) + layer("relu", "type: relu}\n")));
  EXPECT_EQ(groups, (Groups{"lrn max_pool2d relu", "relu_grad max_pool2d_grad lrn_grad"}));
}

TEST(FuseWindows, ReluPoolLrn) {
  Groups groups =
      groups_of(network(layer("relu", "type: relu}\n") + layer("pool", pool) + layer("norm", lrn)));
  EXPECT_EQ(groups, (Groups{"max_pool2d lrn", "lrn_grad max_pool2d_grad relu_grad"}));
}

TEST(FuseWindows, AtInferenceMoreFuses) {
  // Nothing keeps the result of the LRN for a gradient.
  std::string yaml =
      network(layer("relu", "type: relu}\n") + layer("norm", lrn) + layer("pool", pool));
  EXPECT_EQ(groups_of(yaml, Mode::infer), (Groups{"lrn max_pool2d"}));
}

TEST(FuseWindows, ALongChainBehindAWindowJoins) {
  std::string tail = layer("a", "type: tanh}\n") + layer("b", lrn) + layer("c", "type: sigmoid}\n");
  Groups groups = groups_of(network(layer("pool", pool) + tail), Mode::infer);
  EXPECT_EQ(groups, (Groups{"max_pool2d tanh lrn sigmoid"}));
}

TEST(FuseWindows, OneSpatialWindowAGroup) {
  // Rows of rows would be computed again and again.
  Groups groups = groups_of(
      network(layer("norm", lrn) + layer("pool1", pool) + layer("pool2", pool)), Mode::infer);
  EXPECT_EQ(groups, (Groups{"lrn max_pool2d"}));
}

/// Feeds x [1,c,h,w], then the lines, as a graph in nhwc.
Graph graph_of(const std::string& shape, const std::string& lines) {
  std::string list = shape;
  for (size_t at = 0; (at = list.find(',', at)) != std::string::npos; at += 2)
    list.replace(at, 1, ", ");
  return parse_graph("graph g {\n  %x = feed() {dtype = \"f32\", shape = [" + list + "]} : f32[" +
                     shape + "] nhwc\n" + lines + "}\n");
}

const std::string lrn_attrs = "{alpha = 0.1, alpha_over_n = false, beta = 0.75, groups = 1, "
                              "k = 2.0, n = 3}";
const std::string pool_attrs = "{kernel = [3, 3], pad = [0, 0, 0, 0], rounding = \"floor\", "
                               "stride = [2, 2]}";

int fuse_windows_in(Graph& graph) {
  PassContext context = context_of(Mode::infer);
  EXPECT_NO_THROW(verify(graph));
  int rewrites = fuse_windows(graph, context);
  EXPECT_NO_THROW(verify(graph));
  return rewrites;
}

TEST(FuseWindows, ValuesBelowAWindowThatAreReadOutsideStay) {
  // The rows kept for the window overlap: who else wants the LRN's result needs all of it once.
  std::string norm = "  %n = lrn(%x) " + lrn_attrs + " : f32[1,4,9,9] nhwc\n";
  std::string lines = norm + "  %p, %p.argmax = max_pool2d(%n) " + pool_attrs +
                      " : f32[1,4,4,4] nhwc, u8[1,4,4,4] nhwc\n";
  std::string tanh = "  %t = tanh(%n) : f32[1,4,9,9] nhwc\n";
  Graph read = graph_of("1,4,9,9", norm + tanh + lines.substr(norm.size()) +
                                       "  output p = %p\n  output t = %t\n");
  fuse_windows_in(read);
  EXPECT_EQ(fused_groups(read, "window"), (Groups{"lrn tanh"}));
  Graph output = graph_of("1,4,9,9", lines + "  output p = %p\n  output n = %n\n");
  EXPECT_EQ(fuse_windows_in(output), 0);
  Graph free = graph_of("1,4,9,9", lines + "  output p = %p\n");
  EXPECT_EQ(fuse_windows_in(free), 1);
}

TEST(FuseWindows, MapsThatAreReadOutsideBecomeFurtherResults) {
  Graph graph = graph_of("1,4,9,9", "  %r = relu(%x) : f32[1,4,9,9] nhwc\n"
                                    "  %n = lrn(%r) " +
                                        lrn_attrs +
                                        " : f32[1,4,9,9] nhwc\n"
                                        "  output n = %n\n  output r = %r\n");
  EXPECT_EQ(fuse_windows_in(graph), 1);
  ASSERT_EQ(graph.nodes.size(), 2u);
  EXPECT_EQ(graph.nodes[1]->results.size(), 2u);
  EXPECT_EQ(graph.outputs[0].value, graph.nodes[1]->result(0));
  EXPECT_EQ(graph.outputs[1].value, graph.nodes[1]->result(1));
}

TEST(FuseWindows, NoCycleThroughANodeThatCannotJoin) {
  // relu -> softmax -> add and relu -> add: with relu and add in one group, softmax would have to
  // run in the middle of it.
  Graph graph = graph_of("1,4,9,9", R"(  %r = relu(%x) : f32[1,4,9,9] nhwc
  %w = feed() {dtype = "f32", shape = [4, 4, 1, 1]} : f32[4,4,1,1]
  %c = conv2d(%r, %w) {dilation = [1, 1], groups = 1, pad = [0, 0, 0, 0], stride = [1, 1]} : f32[1,4,9,9] nhwc
  %n = lrn(%c) )" + lrn_attrs + R"( : f32[1,4,9,9] nhwc
  %s = add(%n, %r) : f32[1,4,9,9] nhwc
  output s = %s
)");
  fuse_windows_in(graph);
  EXPECT_EQ(fused_groups(graph, "window"), (Groups{"lrn add"}));
}

TEST(FuseWindows, LargeStagesStayApart) {
  // Three rows of 200 x 128 f32 are 300 KB, more than an L2 cache should hold of them.
  auto lines = [](const std::string& in, const std::string& out) {
    return "  %n = lrn(%x) " + lrn_attrs + " : f32[" + in + "] nhwc\n" +
           "  %p, %p.argmax = max_pool2d(%n) " + pool_attrs + " : f32[" + out + "] nhwc, u8[" +
           out + "] nhwc\n  output p = %p\n";
  };
  Graph large = graph_of("1,128,9,200", lines("1,128,9,200", "1,128,4,99"));
  EXPECT_EQ(fuse_windows_in(large), 0);
  Graph small = graph_of("1,128,9,100", lines("1,128,9,100", "1,128,4,49"));
  EXPECT_EQ(fuse_windows_in(small), 1);
}

TEST(FuseWindows, OtherShapesDoNotMix) {
  // Flattening moves elements under a channels-last layout: it is no map.
  Graph graph = graph_of("1,4,3,3", R"(  %r = relu(%x) : f32[1,4,3,3] nhwc
  %f = flatten(%r) : f32[1,36]
  %t = tanh(%f) : f32[1,36]
  output t = %t
)");
  EXPECT_EQ(fuse_windows_in(graph), 0);
}

TEST(FuseEpilogue, BiasReluAndDropoutJoinTheContraction) {
  Graph graph = forward_of(
      network(layer("relu", "type: relu}\n") + layer("drop", "type: dropout, rate: 0.5}\n")), 1);
  PassContext context = context_of(Mode::train);
  run_until(graph, context, "fuse-epilogue");
  Groups groups = fused_groups(graph, "contraction");
  ASSERT_GE(groups.size(), 2u);
  EXPECT_EQ(groups[0], "conv2d bias relu dropout");
  EXPECT_EQ(groups[1], "linear bias");
}

TEST(FuseEpilogue, WhatIsComputedLaterCannotJoin) {
  // The other summand depends on the contraction itself.
  Graph graph =
      graph_of("1,4,9,9", R"(  %w = feed() {dtype = "f32", shape = [4, 4, 1, 1]} : f32[4,4,1,1]
  %c = conv2d(%x, %w) {dilation = [1, 1], groups = 1, pad = [0, 0, 0, 0], stride = [1, 1]} : f32[1,4,9,9] nhwc
  %n = lrn(%c) )" + lrn_attrs +
                              R"( : f32[1,4,9,9] nhwc
  %s = add(%c, %n) : f32[1,4,9,9] nhwc
  output s = %s
)");
  PassContext context = context_of(Mode::infer);
  EXPECT_EQ(fuse_epilogue(graph, context), 0);
  EXPECT_NO_THROW(verify(graph));
}

TEST(FuseUpdates, OneUpdateStaysAsItIs) {
  Graph graph = forward_of("name: n\ninput: {channels: 1, height: 2, width: 2}\nlayers:\n"
                           "  - {name: fc, type: linear, features: 2, bias: false}\n"
                           "  - {name: loss, type: softmax_cross_entropy}\n",
                           1);
  PassContext context = context_of(Mode::train);
  run_until(graph, context, "fuse-epilogue");
  EXPECT_EQ(fuse_updates(graph, context), 0);
}

} // namespace
} // namespace netc::test
