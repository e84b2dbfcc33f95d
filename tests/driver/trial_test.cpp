// What `--tune` measures: kernels over the very elements that the plan's kernels read and write.

#include "passes/partition/cost.h"
#include "runtime/cuda/cuda.h"
#include "tests/driver/driver_support.h"
#include "tests/passes/pass_support.h"
#include "tools/driver/measure.h"

#include <gmock/gmock.h>

namespace netc::test {
namespace {

/// A training step whose images and features are held rounded where they can be.
Graph rounded_step(const std::string& precision) {
  Graph graph = forward_of("name: n\ninput: {channels: 8, height: 6, width: 6}\nlayers:\n"
                           "  - {name: conv1, type: conv2d, filters: 16, kernel: 3}\n"
                           "  - {name: relu1, type: relu}\n"
                           "  - {name: conv2, type: conv2d, filters: 16, kernel: 3}\n"
                           "  - {name: fc1, type: linear, features: 16}\n"
                           "  - {name: relu2, type: relu}\n"
                           "  - {name: fc2, type: linear, features: 5}\n"
                           "  - {name: loss, type: softmax_cross_entropy}\n",
                           8);
  PassContext context = context_of(Mode::train);
  context.target = parse_target("cuda:sm_90a");
  context.precision = parse_precision(precision);
  run_until(graph, context, "fuse-bias-gradients");
  return graph;
}

/// How memory holds the operands of a contraction's kernel and its first result; whether it has
/// another.
std::string elements_of(const LoweredNode& kernel) {
  std::string text = kernel.contraction->rounded ? "rounded" : "plain";
  for (const kernel::Param& param : kernel.kernel.params)
    if (param.name == "in0" || param.name == "in1" || param.name == "out0")
      text += fmt::format(" {}", to_string(param.type.dtype));
  if (const auto* conv = std::get_if<Conv2d>(&kernel.contraction->shape);
      conv && conv->bias_gradient)
    text += " with bias";
  return text;
}

/// The kernels of a graph's contractions. `choose` hears of them.
std::vector<LoweredNode> contraction_kernels(const Graph& graph, const ChooseCandidate& choose) {
  std::vector<LoweredNode> kernels;
  for (const auto& node : graph.nodes) {
    const Node& first = node->body ? *executed_members(*node).front() : *node;
    if (first.op->is_contraction())
      kernels.push_back(lower(*node, [](const Value&) { return true; },
                              {.target = parse_target("cuda:sm_90a"), .choose = choose}));
  }
  return kernels;
}

TEST(Trials, AreOverThePlansElements) {
  for (const char* precision : {"fp32", "tf32", "bf16"}) {
    std::vector<Graph> trials;
    const Graph step = rounded_step(precision);
    const std::vector<LoweredNode> kernels =
        contraction_kernels(step, [&](const ContractionUse& use) {
          trials.push_back(trial_graph(use));
          return "";
        });
    ASSERT_EQ(kernels.size(), trials.size());
    std::set<std::string> seen;
    for (size_t i = 0; i < trials.size(); ++i) {
      SCOPED_TRACE(kernels[i].kernel.name);
      verify(trials[i]);
      const std::vector<LoweredNode> trial = contraction_kernels(trials[i], nullptr);
      ASSERT_EQ(trial.size(), 1u);
      EXPECT_EQ(elements_of(trial.front()), elements_of(kernels[i]));
      EXPECT_EQ(trials[i].outputs.front().value->stored().dtype, DType::f32);
      seen.insert(elements_of(kernels[i]));
    }
    const std::string p = precision;
    EXPECT_EQ(seen.count(fmt::format("rounded {0} f32 {0}", p)), p == "fp32" ? 0u : 1u);
    EXPECT_EQ(seen.count(fmt::format("rounded {0} {0} f32 with bias", p)), p == "fp32" ? 0u : 1u);
    EXPECT_GE(seen.size(), p == "fp32" ? 2u : 4u);
  }
}

TEST(Trials, SayOnceWhyALibraryIsLeftOut) {
  if (has_library("cublaslt"))
    GTEST_SKIP() << "skipped: cuBLASLt is there";
  const LoweringOptions lowering{.target = parse_target("emu"), .choose = nullptr};
  const Backend backend = make_backend(lowering.target, kernel_cache());
  std::vector<LeftOut> left_out;
  const MeasureCandidates measure =
      measure_on({.name = "emu:0"}, backend, lowering, 0,
                 [&](const LeftOut& library) { left_out.push_back(library); });
  Graph graph = forward_of("name: n\ninput: {channels: 8, height: 1, width: 1}\nlayers:\n"
                           "  - {name: fc, type: linear, features: 8}\n",
                           8);
  PassContext context = context_of(Mode::infer);
  context.target = lowering.target;
  run_until(graph, context, "assign-layouts");
  const Node& fc = *graph.find("fc")->node;
  const std::vector<std::string> own = candidate_names({fc}, lowering);
  for (int i = 0; i < 2; ++i) {
    const auto trials = measure({fc}, {own.front(), "cublaslt"});
    ASSERT_EQ(trials.size(), 1u);
    EXPECT_EQ(trials.front().function, own.front());
  }
  EXPECT_EQ(left_out, (std::vector<LeftOut>{{"cublaslt", library_problem("cublaslt")}}));
}

} // namespace
} // namespace netc::test
