// The input's convolution by blocks of pixels: when it is rewritten, and that nothing changes.

#include "tests/passes/pass_support.h"
#include "tests/support/interpret.h"
#include "tests/support/random_network.h"

namespace netc::test {
namespace {

/// A network whose first convolution has these keys.
std::string network(const std::string& keys, int pixels, const std::string& more = {}) {
  return fmt::format(R"(
name: net
input: {{channels: 3, height: {0}, width: {0}, stored: {1}, crop: random, flip: true, scale: 0.5}}
layers:
  - {{name: conv1, type: conv2d, filters: 4, {2}}}
  - {{name: relu1, type: relu}}
{3}  - {{name: fc2, type: linear, features: 7}}
  - {{name: loss, type: softmax_cross_entropy}}
)",
                     pixels, pixels + 3, keys, more);
}

PassContext gpu_context() {
  PassContext context = context_of(Mode::train);
  context.target = parse_target("cuda:sm_90");
  return context;
}

int rewrites_of(const std::string& yaml, PassContext context = gpu_context()) {
  Graph graph = forward_of(yaml, 2);
  return space_to_depth(graph, context);
}

TEST(SpaceToDepth, BecomesAConvolutionOfStrideOne) {
  Graph graph = forward_of(network("kernel: 11, stride: 4", 27), 2);
  PassContext context = gpu_context();
  expect_pass_golden("space-to-depth", "space-to-depth", graph, context);
}

TEST(SpaceToDepth, ComputesTheSame) {
  for (const auto& [keys, pixels] :
       std::vector<std::pair<std::string, int>>{{"kernel: 11, stride: 4", 27},
                                                {"kernel: 4, stride: 4", 16},
                                                {"kernel: 3, stride: 2", 9}}) {
    Graph before = forward_of(network(keys, pixels), 2);
    Graph after = before.clone();
    PassContext plain = context_of(Mode::train), context = gpu_context();
    ASSERT_EQ(space_to_depth(after, context), 1) << keys;
    for (Graph* graph : {&before, &after})
      autodiff(*graph, plain);
    Random random(3);
    const Tensors inputs = random_inputs(before, random);
    const Tensors want = interpret_outputs(before, inputs), got = interpret_outputs(after, inputs);
    ASSERT_GE(want.size(), 5u);
    for (const auto& [name, tensor] : want)
      EXPECT_LT(relative_error(got.at(name), tensor), 1e-12) << keys << ", " << name;
  }
}

TEST(SpaceToDepth, LeavesAloneWhatDoesNotSuit) {
  const std::string suits = network("kernel: 3, stride: 2", 9);
  EXPECT_EQ(rewrites_of(suits), 1);
  EXPECT_EQ(rewrites_of(network("kernel: 3", 9)), 0) << "stride 1";
  EXPECT_EQ(rewrites_of(network("kernel: 3, stride: [2, 3]", 9)), 0) << "two strides";
  EXPECT_EQ(rewrites_of(network("kernel: 3, stride: 2, pad: 1", 9)), 0) << "padding";
  EXPECT_EQ(rewrites_of(network("kernel: 4, stride: 4", 14)), 0) << "a block that nobody reads";
  const std::string again = "  - {name: conv3, type: conv2d, filters: 4, kernel: 3, stride: 2, "
                            "from: data}\n  - {name: sum, type: add, from: [relu1, conv3]}\n";
  EXPECT_EQ(rewrites_of(network("kernel: 3, stride: 2", 9, again)), 0) << "two readers";
  EXPECT_EQ(rewrites_of(suits, context_of(Mode::train)), 0) << "the CPU";
  PassContext context = gpu_context();
  context.exact = true;
  EXPECT_EQ(rewrites_of(suits, context), 0) << "exact";
  context = gpu_context();
  context.rewrites_left = 0;
  EXPECT_EQ(rewrites_of(suits, context), 0) << "no rewrites";
}

} // namespace
} // namespace netc::test
