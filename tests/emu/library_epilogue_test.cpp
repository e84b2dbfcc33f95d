// What a library leaves of an epilogue: the one entry over the sums that it has written into the
// result, on the emulator.

#include "codegen/library_contraction.h"
#include "codegen/printer.h"
#include "tests/codegen/contraction_testing.h"
#include "tests/emu/emu_testing.h"
#include "tests/passes/pass_support.h"

#include <deque>

namespace netc::test {
namespace {

/// The kernel of a network in `mode` that has a contraction of that operator, by the library.
LoweredNode lowered(const std::string& layers, Mode mode, const OpDef& op) {
  Graph graph = forward_of("name: n\ninput: {channels: 2, height: 3, width: 3}\nlayers:\n" +
                               layers + "  - {name: loss, type: softmax_cross_entropy}\n",
                           5);
  PassContext context = context_of(mode);
  context.target = parse_target("cuda:sm_90");
  run_until(graph, context, "fuse-epilogue");
  const Node* kernel = nullptr;
  for (const auto& node : graph.nodes)
    if (node->body)
      for (const auto& member : node->body->nodes)
        kernel = member->op == &op ? node.get() : kernel;
  NETC_CHECK(kernel, "no kernel of {}", op.name);
  return lower(*kernel, [](const Value&) { return true; },
               {.target = context.target, .choose = [](const Node&) { return "cublaslt"; }});
}

/// Runs the kernel's entry over memory for each parameter: random operands, `sums` where the
/// library writes them, nothing in others.
std::deque<EmuArray<float>> run_entry(const LoweredNode& kernel, const Floats& sums) {
  const KernelText text = print_kernel(kernel, cuda_dialect(), false, 48 << 10);
  NETC_CHECK(text.entries.size() == 1, "{} entries", text.entries.size());
  std::deque<EmuArray<float>> memory;
  for (size_t i = 0; i < kernel.kernel.params.size(); ++i) {
    const size_t count = static_cast<size_t>(kernel.kernel.params[i].type.elements());
    if (i < kernel.operands.size())
      memory.emplace_back(random_floats(count, static_cast<unsigned>(i)));
    else if (static_cast<int>(i) == kernel.contraction->library->result)
      memory.emplace_back(sums);
    else
      memory.emplace_back(count);
  }
  std::vector<EmulatorBuffer> buffers;
  for (size_t i = 0; i < memory.size(); ++i)
    buffers.push_back(memory[i].buffer(kernel.kernel.params[i].name));
  const EmuText compiled(text.text);
  const KernelEntry& entry = text.entries[0];
  Emulator().launch({.kernel = "library",
                     .entry = 0,
                     .function = compiled.entry(0),
                     .blocks = entry.blocks,
                     .threads = entry.threads,
                     .shared_bytes = entry.shared_bytes,
                     .buffers = buffers});
  return memory;
}

TEST(LibraryEpilogue, ScalesWhatTheLibraryComputed) {
  for (int features : {7, 8}) { // element by element, and four at a time
    const LoweredNode kernel =
        lowered("  - {name: fc, type: linear, features: " + std::to_string(features) +
                    "}\n  - {name: relu, type: relu}\n  - {name: drop, type: dropout, rate: 0.75, "
                    "mode: classic}\n",
                Mode::infer, ops::linear);
    ASSERT_TRUE(kernel.contraction->library->relu);
    const Floats sums = random_floats(5 * static_cast<size_t>(features), 9);
    Floats expected = sums;
    for (float& value : expected)
      value *= 0.25f;
    EXPECT_EQ(run_entry(kernel, sums)[kernel.operands.size()].values, expected);
  }
}

TEST(LibraryEpilogue, MasksAGradientByTheActivation) {
  for (int features : {7, 8}) {
    const LoweredNode kernel =
        lowered("  - {name: fc1, type: linear, features: " + std::to_string(features) +
                    "}\n  - {name: relu, type: relu}\n  - {name: fc2, type: linear, features: 3}\n",
                Mode::train, ops::linear_data_gradient);
    ASSERT_EQ(kernel.operands.size(), 3u); // dy, w and the activation
    const Floats sums = random_floats(5 * static_cast<size_t>(features), 9);
    const auto memory = run_entry(kernel, sums);
    Floats expected = sums;
    for (size_t i = 0; i < sums.size(); ++i)
      expected[i] = memory[2].values[i] > 0 ? sums[i] : 0;
    EXPECT_EQ(memory[3].values, expected);
  }
}

TEST(LibraryEpilogue, WritesWhatTheBackwardPassReads) {
  const LoweredNode kernel = lowered("  - {name: fc, type: linear, features: 7}\n"
                                     "  - {name: sigmoid, type: sigmoid}\n"
                                     "  - {name: tanh, type: tanh}\n",
                                     Mode::train, ops::linear);
  ASSERT_EQ(kernel.results.size(), 2u);
  const Floats sums = random_floats(35, 9);
  const auto memory = run_entry(kernel, sums);
  const Floats &last = memory[kernel.operands.size()].values,
               &before = memory[kernel.operands.size() + 1].values;
  for (size_t i = 0; i < sums.size(); ++i) {
    EXPECT_NEAR(before[i], 1 / (1 + std::exp(-sums[i])), 1e-6);
    EXPECT_NEAR(last[i], std::tanh(before[i]), 1e-6);
  }
}

} // namespace
} // namespace netc::test
