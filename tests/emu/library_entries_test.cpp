// What stands around a library's call, on the emulator: weights in its order, and the maps it
// leaves.

#include "codegen/library_contraction.h"
#include "tests/emu/kernel_memory.h"
#include "tests/passes/pass_support.h"

namespace netc::test {
namespace {

/// The kernel of a network in `mode` that has a contraction of that operator, by the library.
LoweredNode lowered(const std::string& layers, Mode mode, const OpDef& op,
                    const std::string& stop_after = "fuse-epilogue") {
  Graph graph = forward_of("name: n\ninput: {channels: 2, height: 3, width: 3}\nlayers:\n" +
                               layers + "  - {name: loss, type: softmax_cross_entropy}\n",
                           5);
  PassContext context = context_of(mode);
  context.target = parse_target("cuda:sm_90");
  run_until(graph, context, stop_after);
  const Node* kernel = nullptr;
  for (const auto& node : graph.nodes) {
    kernel = node->op == &op ? node.get() : kernel;
    if (node->body)
      for (const auto& member : node->body->nodes)
        kernel = member->op == &op ? node.get() : kernel;
  }
  NETC_CHECK(kernel, "no kernel of {}", op.name);
  return lower(*kernel, [](const Value&) { return true; },
               {.target = context.target, .choose = [](const ContractionUse& use) {
                  return use.node.op->name.starts_with("linear") ? "cublaslt" : "cudnn";
                }});
}

TEST(LibraryEntries, ScalesWhatTheLibraryComputed) {
  for (int features : {7, 8}) { // element by element, and four at a time
    const LoweredNode kernel =
        lowered("  - {name: fc, type: linear, features: " + std::to_string(features) +
                    "}\n  - {name: relu, type: relu}\n  - {name: drop, type: dropout, rate: 0.75, "
                    "mode: classic}\n",
                Mode::infer, ops::linear);
    const Floats sums = random_floats(5 * static_cast<size_t>(features), 9);
    KernelMemory memory(kernel);
    memory.write(kernel.contraction->library->result, sums);
    memory.run(0);
    for (size_t i = 0; i < sums.size(); ++i)
      EXPECT_EQ(memory.first_result()[i], std::max(sums[i], 0.0f) * 0.25f);
  }
}

TEST(LibraryEntries, MasksAGradientByTheActivation) {
  for (int features : {7, 8}) {
    const LoweredNode kernel =
        lowered("  - {name: fc1, type: linear, features: " + std::to_string(features) +
                    "}\n  - {name: relu, type: relu}\n  - {name: fc2, type: linear, features: 3}\n",
                Mode::train, ops::linear_data_gradient);
    ASSERT_EQ(kernel.operands.size(), 3u); // dy, w and the activation
    const Floats sums = random_floats(5 * static_cast<size_t>(features), 9);
    KernelMemory memory(kernel);
    memory.write(kernel.contraction->library->result, sums);
    memory.run(0);
    for (size_t i = 0; i < sums.size(); ++i)
      EXPECT_EQ(memory.first_result()[i], memory.at(2)[i] > 0 ? sums[i] : 0);
  }
}

TEST(LibraryEntries, WritesWhatTheBackwardPassReads) {
  const LoweredNode kernel = lowered("  - {name: fc, type: linear, features: 7}\n"
                                     "  - {name: sigmoid, type: sigmoid}\n"
                                     "  - {name: tanh, type: tanh}\n",
                                     Mode::train, ops::linear);
  ASSERT_EQ(kernel.results.size(), 2u);
  const Floats sums = random_floats(35, 9);
  KernelMemory memory(kernel);
  memory.write(kernel.contraction->library->result, sums);
  memory.run(0);
  const Floats &last = memory.first_result(),
               &before = memory.at(static_cast<int>(kernel.operands.size()) + 1);
  for (size_t i = 0; i < sums.size(); ++i) {
    EXPECT_NEAR(before[i], 1 / (1 + std::exp(-sums[i])), 1e-6);
    EXPECT_NEAR(last[i], std::tanh(before[i]), 1e-6);
  }
}

/// Index in [out][tap][in] of the i-th weight in [out][in][tap].
size_t reordered(size_t i, size_t taps, size_t in) {
  return (i / (taps * in) * taps + i % taps) * in + i / taps % in;
}

TEST(LibraryEntries, WeightsAreReorderedForTheLibrary) {
  const LoweredNode kernel =
      lowered("  - {name: conv, type: conv2d, filters: 6, kernel: [2, 3], pad: 1}\n", Mode::infer,
              ops::conv2d);
  KernelMemory memory(kernel);
  ASSERT_EQ(memory.entries(), 2);
  memory.run(0);
  const Floats weights = memory.at(1);
  ASSERT_EQ(weights.size(), 72u); // [6][2][2][3]
  const Floats& packed = memory.at(kernel.contraction->library->second);
  for (size_t i = 0; i < weights.size(); ++i)
    EXPECT_EQ(packed[reordered(i, 6, 2)], weights[i]) << i;
}

/// Beside the weights: the sums of dy over pixels, [5][4][3] of them, a part each.
TEST(LibraryEntries, ABiasGradientIsSummed) {
  const LoweredNode kernel =
      lowered("  - {name: conv, type: conv2d, filters: 6, kernel: [2, 3], pad: 1}\n", Mode::train,
              ops::conv2d_weight_gradient, "fuse-bias-gradients");
  ASSERT_EQ(kernel.results.size(), 2u);
  KernelMemory memory(kernel);
  ASSERT_EQ(memory.entries(), 3);
  memory.write(kernel.contraction->library->result, random_floats(72, 9));
  for (int entry = 0; entry < 3; ++entry)
    memory.run(entry);
  const Floats &dy = memory.at(1), &sums = memory.at(static_cast<int>(kernel.operands.size()) + 1);
  ASSERT_EQ(sums.size(), 6u);
  std::vector<double> want(6);
  for (size_t i = 0; i < dy.size(); ++i)
    want[i % 6] += dy[i];
  EXPECT_LT(relative_error(sums, want), 1e-6);
}

TEST(LibraryEntries, AGradientOfWeightsIsPutInTheirOrder) {
  const LoweredNode kernel =
      lowered("  - {name: conv, type: conv2d, filters: 6, kernel: [2, 3], pad: 1}\n", Mode::train,
              ops::conv2d_weight_gradient);
  KernelMemory memory(kernel);
  ASSERT_EQ(memory.entries(), 1);
  const Floats packed = random_floats(72, 9);
  memory.write(kernel.contraction->library->result, packed);
  memory.run(0);
  for (size_t i = 0; i < packed.size(); ++i)
    EXPECT_EQ(memory.first_result()[i], packed[reordered(i, 6, 2)]) << i;
}

} // namespace
} // namespace netc::test
