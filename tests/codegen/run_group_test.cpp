// How much of a group of maps and windows a thread of a GPU does.

#include "codegen/lowering.h"
#include "codegen/run_group.h"
#include "tests/passes/pass_support.h"

namespace netc::test {
namespace {

/// A step with two windows, in each of which pixels read the same: `kernel` and `stride` of the
/// pooling behind a normalisation of `channels`.
Graph step_of(int channels, int kernel, int stride, int batch, int size = 19) {
  Graph graph = forward_of(
      fmt::format(
          "name: n\ninput: {{channels: 4, height: {3}, width: {3}}}\nlayers:\n"
          "  - {{name: conv, type: conv2d, filters: {0}, kernel: 1}}\n"
          "  - {{name: norm, type: lrn, n: 5, k: 2, alpha: 1e-4, beta: 0.75, "
          "alpha_over_n: false}}\n"
          "  - {{name: pool, type: max_pool2d, kernel: {1}, stride: {2}, rounding: floor}}\n"
          "  - {{name: fc, type: linear, features: 3}}\n"
          "  - {{name: loss, type: softmax_cross_entropy}}\n",
          channels, kernel, stride, size),
      batch);
  PassContext context = context_of(Mode::train);
  context.target = parse_target("cuda:sm_90a");
  run_until(graph, context, "fuse-windows");
  return graph;
}

LoweringOptions on(const std::string& target, int64_t busy_threads = 1 << 16) {
  return {.target = parse_target(target), .choose = nullptr, .busy_threads = busy_threads};
}

/// `4: 2x2, 4 a warp`: channels of a run, rows and columns of a block, and where threads share, how
/// many blocks a warp has.
std::string plan_of(const Graph& graph, const std::string& members,
                    const LoweringOptions& options = on("cuda:sm_90a")) {
  for (const auto& node : graph.nodes)
    if (node->body && members_of(*node) == members) {
      const Group group = make_group(*node, [](const Value&) { return true; });
      const std::optional<RunPlan> plan = plan_runs(group, options);
      return plan
                 ? fmt::format("{}: {}x{}{}", plan->channels, plan->block.rows, plan->block.columns,
                               plan->sharing ? fmt::format(", {} a warp", plan->tile) : "")
                 : "none";
    }
  return "no such group:\n" + print(graph);
}

const std::string forward = "lrn max_pool2d", backward = "max_pool2d_grad lrn_grad";

TEST(RunGroup, BlocksArePixelsThatReadTheSame) {
  const Graph overlapping = step_of(96, 3, 2, 128);
  EXPECT_EQ(plan_of(overlapping, forward), "4: 1x2");
  EXPECT_EQ(plan_of(overlapping, backward), "4: 2x2, 4 a warp");
  // Windows side by side share nothing; their pixels do.
  const Graph apart = step_of(96, 2, 2, 128, 18);
  EXPECT_EQ(plan_of(apart, forward), "4: 1x1");
  EXPECT_EQ(plan_of(apart, backward), "4: 2x2, 4 a warp");
  // So do they behind the last window.
  EXPECT_EQ(plan_of(step_of(96, 2, 2, 128, 19), backward), "4: 2x2, 4 a warp");
  // Nine pixels are too many for a thread.
  EXPECT_EQ(plan_of(step_of(96, 5, 3, 128, 20), backward), "4: 1x1, 4 a warp");
}

TEST(RunGroup, SmallStepsKeepAllThreadsBusyInstead) {
  const Graph small = step_of(96, 3, 2, 2);
  EXPECT_EQ(plan_of(small, forward), "4: 1x1");
  EXPECT_EQ(plan_of(small, backward), "4: 1x1, 4 a warp");
  EXPECT_EQ(plan_of(small, forward, on("cuda:sm_90a", 0)), "4: 1x2");
  EXPECT_EQ(plan_of(small, backward, on("cuda:sm_90a", 0)), "4: 2x2, 4 a warp");
}

/// Two blocks of threads find room on a multiprocessor.
TEST(RunGroup, WhatThreadsShowFitsHalfOfSharedMemory) {
  const Graph step = step_of(96, 3, 2, 128); // 24 KB for each block of a warp
  EXPECT_EQ(plan_of(step, backward, on("cuda:sm_80")), "4: 2x2, 1 a warp");
  EXPECT_EQ(plan_of(step, backward, on("cuda:sm_75")), "4: 2x2, 1 a warp");
  EXPECT_EQ(plan_of(step_of(80, 3, 2, 128), backward), "4: 2x2, 4 a warp"); // 8 fill a warp
  EXPECT_EQ(plan_of(step_of(448, 3, 2, 64), backward), "4: 2x2, 1 a warp");
  EXPECT_EQ(plan_of(step_of(512, 3, 2, 64), backward), "4: 1x1, 1 a warp");
  EXPECT_EQ(plan_of(step_of(256, 3, 2, 64), backward, on("cuda:sm_75")), "4: 1x1, 1 a warp");
  EXPECT_EQ(plan_of(step_of(4096, 3, 2, 8), backward), "4: 1x1, 1 a warp"); // has to
}

TEST(RunGroup, ChannelsThatAreNoFoursComeOneByOne) {
  EXPECT_EQ(plan_of(step_of(6, 3, 2, 128), backward, on("cuda:sm_90a", 0)), "1: 2x2, 4 a warp");
}

} // namespace
} // namespace netc::test
