// What may join a contraction's kernel, and what must not.

#include "codegen/lowering.h"
#include "ir/support/error.h"
#include "passes/fusion.h"
#include "tests/passes/pass_support.h"

#include <gmock/gmock.h>

namespace netc::test {
namespace {

using testing::HasSubstr;

/// Lowers the kernel of a layer's weight gradient together with the update of its weights.
LoweredNode lower_with_update(const std::string& layer, const std::string& target) {
  Graph graph = forward_of("name: n\ninput: {channels: 2, height: 6, width: 6}\nlayers:\n"
                           "  - {name: conv, type: conv2d, filters: 4, kernel: 3}\n"
                           "  - {name: fc, type: linear, features: 5}\n"
                           "  - {name: loss, type: softmax_cross_entropy}\n",
                           2);
  PassContext context = context_of(Mode::train);
  context.target = parse_target(target);
  run_until(graph, context, "assign-layouts");
  std::vector<Node*> members;
  for (const auto& node : graph.nodes)
    if (node->op->is_update() && node->operands[0]->name == layer + ".weight")
      members = {node->operands[1]->node, node.get()};
  EXPECT_EQ(members.size(), 2u);
  Node* fused = fuse(graph, members, "contraction");
  return lower(*fused, [](const Value&) { return true; },
               {.target = context.target, .choose = nullptr});
}

std::string error_of(const std::string& layer, const std::string& target) {
  try {
    lower_with_update(layer, target);
  } catch (const InternalError& error) {
    return error.what();
  }
  return "";
}

TEST(Epilogue, UpdatesJoinLinearLayersOnGpusOnly) {
  const LoweredNode lowered = lower_with_update("fc", "emu");
  EXPECT_TRUE(lowered.contraction->has_epilogue);
  EXPECT_FALSE(lowered.kernel.body.empty());
  EXPECT_THAT(error_of("fc", "cpu"), HasSubstr("which linear_weight_gradient cannot take"));
}

TEST(Epilogue, NothingJoinsTheWeightGradientOfAConvolution) {
  for (const char* target : {"cpu", "emu", "cuda:sm_90"})
    EXPECT_THAT(error_of("conv", target), HasSubstr("which conv2d_weight_gradient cannot take"))
        << target;
}

} // namespace
} // namespace netc::test
