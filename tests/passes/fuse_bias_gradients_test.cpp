// Which gradients of biases join the gradients of weights.

#include "tests/passes/pass_support.h"

namespace netc::test {
namespace {

const std::string layers = "name: n\ninput: {channels: 4, height: 6, width: 6}\nlayers:\n"
                           "  - {name: taps, type: conv2d, filters: 8, kernel: 3}\n"
                           "  - {name: points, type: conv2d, filters: 6, kernel: 1}\n"
                           "  - {name: free, type: conv2d, filters: 4, kernel: 2, bias: false}\n"
                           "  - {name: fc, type: linear, features: 3}\n"
                           "  - {name: loss, type: softmax_cross_entropy}\n";

/// The step up to the pass, and how many it joined.
std::pair<Graph, int> joined(const std::string& target, const std::string& precision = "fp32",
                             bool exact = false, int64_t may = INT64_MAX,
                             const std::string& network = layers) {
  Graph graph = forward_of(network, 2);
  PassContext context = context_of(Mode::train);
  context.target = parse_target(target);
  context.precision = parse_precision(precision);
  context.exact = exact;
  run_until(graph, context, "assign-storage");
  context.rewrites_left = may;
  const int count = fuse_bias_gradients(graph, context);
  verify(graph);
  return {std::move(graph), count};
}

TEST(FuseBiasGradients, OfConvolutionsWithTapsOnGpus) {
  const auto [graph, count] = joined("cuda:sm_90a");
  EXPECT_EQ(count, 1);
  const Value* weights = graph.find("taps.weight_grad.fused");
  ASSERT_TRUE(weights) << print(graph);
  const Node& node = *weights->node;
  EXPECT_EQ(members_of(node), "conv2d_weight_gradient channel_sum");
  EXPECT_EQ(node.result(0)->type.shape, (Shape{8, 4, 3, 3}));
  EXPECT_EQ(node.result(1)->type.shape, (Shape{8}));
  // Of one tap, and fully connected.
  EXPECT_TRUE(graph.find("points.add_bias.bias_grad"));
  EXPECT_TRUE(graph.find("fc.add_bias.bias_grad"));
  EXPECT_EQ(joined("emu").second, 1);
}

TEST(FuseBiasGradients, NothingElsewhere) {
  EXPECT_EQ(joined("cpu").second, 0);
  EXPECT_EQ(joined("cuda:sm_90a", "fp32", true).second, 0);
  EXPECT_EQ(joined("cuda:sm_90a", "fp32", false, 0).second, 0);
}

/// Sums are of what memory holds: a product that rounds it on its way would lose some of it.
TEST(FuseBiasGradients, WhereTheProductLosesNothing) {
  // Of 8 channels, and of 6, which are not rounded in memory for bf16.
  EXPECT_EQ(joined("cuda:sm_90a", "tf32").second, 1);
  EXPECT_EQ(joined("cuda:sm_90a", "bf16").second, 0);
  EXPECT_EQ(joined("cuda:sm_90", "3xtf32").second, 1);
  EXPECT_EQ(joined("cuda:sm_90", "tf32").second, 0);
  std::string wide = layers;
  wide.replace(wide.find("channels: 4"), 11, "channels: 8");
  EXPECT_EQ(joined("cuda:sm_90a", "bf16", false, INT64_MAX, wide).second, 1);
}

/// One more row of 64 would be one more tile, of 2,304 it is one of many.
TEST(FuseBiasGradients, WhereOneMoreRowIsLittle) {
  for (auto [channels, count] : {std::pair{16, 0}, {17, 1}, {64, 0}, {144, 1}, {256, 1}}) {
    const std::string network =
        fmt::format("name: n\ninput: {{channels: {}, height: 5, width: 5}}\nlayers:\n"
                    "  - {{name: conv, type: conv2d, filters: 8, kernel: {}}}\n"
                    "  - {{name: fc, type: linear, features: 3}}\n"
                    "  - {{name: loss, type: softmax_cross_entropy}}\n",
                    channels, channels == 256 ? 3 : 2);
    EXPECT_EQ(joined("emu", "fp32", false, INT64_MAX, network).second, count) << channels;
  }
}

/// Who reads one of the two alone leaves nothing to join.
TEST(FuseBiasGradients, WhereBothAreRead) {
  for (const char* read : {"a", "s"}) {
    Graph graph = parse_graph(fmt::format(R"(graph n {{
  %x = feed() {{dtype = "f32", shape = [2, 4, 6, 6]}} : f32[2,4,6,6] nhwc
  %dy = feed() {{dtype = "f32", shape = [2, 4, 4, 4]}} : f32[2,4,4,4] nhwc
  %a = conv2d_weight_gradient(%x, %dy) {{dilation = [1, 1], groups = 1, kernel = [3, 3], pad = [0, 0, 0, 0], precision = "fp32", stride = [1, 1]}} : f32[4,4,3,3]
  %s = channel_sum(%dy) : f32[4]
  output {0} = %{0}
}}
)",
                                          read));
    PassContext context = context_of(Mode::train);
    context.target = parse_target("cuda:sm_90a");
    EXPECT_EQ(fuse_bias_gradients(graph, context), 0) << read;
  }
}

/// What two convolutions add up to has one gradient, whose sum joins one of them.
TEST(FuseBiasGradients, ASumJoinsOnce) {
  Graph graph = parse_graph(R"(graph n {
  %x = feed() {dtype = "f32", shape = [2, 4, 6, 6]} : f32[2,4,6,6] nhwc
  %dy = feed() {dtype = "f32", shape = [2, 4, 4, 4]} : f32[2,4,4,4] nhwc
  %a = conv2d_weight_gradient(%x, %dy) {dilation = [1, 1], groups = 1, kernel = [3, 3], pad = [0, 0, 0, 0], precision = "fp32", stride = [1, 1]} : f32[4,4,3,3]
  %b = conv2d_weight_gradient(%x, %dy) {dilation = [1, 1], groups = 1, kernel = [3, 3], pad = [0, 0, 0, 0], precision = "fp32", stride = [1, 1]} : f32[4,4,3,3]
  %s = channel_sum(%dy) : f32[4]
  output a = %a
  output b = %b
  output s = %s
}
)");
  PassContext context = context_of(Mode::train);
  context.target = parse_target("cuda:sm_90a");
  EXPECT_EQ(fuse_bias_gradients(graph, context), 1);
  EXPECT_NO_THROW(verify(graph));
  EXPECT_EQ(fused_groups(graph, "contraction"),
            std::vector<std::string>{"conv2d_weight_gradient channel_sum"});
}

/// Images that are there only behind the sum: an exchange that waits for it may bring them.
TEST(FuseBiasGradients, NotAcrossWhatWaitsForTheSum) {
  Graph graph = parse_graph(R"(graph n {
  %x = feed() {dtype = "f32", shape = [2, 4, 6, 6]} : f32[2,4,6,6] nhwc
  %dy = feed() {dtype = "f32", shape = [2, 4, 4, 4]} : f32[2,4,4,4] nhwc
  %s = channel_sum(%dy) : f32[4]
  %z = bias(%x, %s) : f32[2,4,6,6] nhwc
  %a = conv2d_weight_gradient(%z, %dy) {dilation = [1, 1], groups = 1, kernel = [3, 3], pad = [0, 0, 0, 0], precision = "fp32", stride = [1, 1]} : f32[4,4,3,3]
  output a = %a
  output s = %s
}
)");
  PassContext context = context_of(Mode::train);
  context.target = parse_target("cuda:sm_90a");
  EXPECT_EQ(fuse_bias_gradients(graph, context), 0);
}

} // namespace
} // namespace netc::test
