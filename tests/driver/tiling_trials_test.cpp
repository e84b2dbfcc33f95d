// Every kind of tiling that the planner may choose or tuning may find fastest, on devices, against
// contractions in double precision.

#include "codegen/candidates.h"
#include "tests/driver/driver_support.h"
#include "tests/passes/pass_support.h"
#include "tests/support/gpu.h"
#include "tests/support/tilings.h"
#include "tools/driver/measure.h"

namespace netc::test {
namespace {

/// A training step of two convolutions with a padded kernel of 3 x 3 and a layer of `size`
/// features, images and features held rounded where the precision does. Of the second one all
/// passes have `channels`.
Graph step_of(const Target& target, const std::string& precision, int channels, int pixels,
              int batch) {
  Graph graph =
      forward_of(fmt::format("name: n\ninput: {{channels: 8, height: {0}, width: {0}}}\nlayers:\n"
                             "  - {{name: conv1, type: conv2d, filters: {1}, kernel: 3, pad: 1}}\n"
                             "  - {{name: relu1, type: relu}}\n"
                             "  - {{name: conv2, type: conv2d, filters: {1}, kernel: 3, pad: 1}}\n"
                             "  - {{name: fc, type: linear, features: 5}}\n"
                             "  - {{name: loss, type: softmax_cross_entropy}}\n",
                             pixels, channels),
                 batch);
  PassContext context = context_of(Mode::train);
  context.target = target;
  context.precision = parse_precision(precision);
  run_until(graph, context, "fuse-bias-gradients");
  return graph;
}

/// Measures up to `most` tilings of each pass of the second convolution. Returns their names.
std::set<std::string> check_tilings(const std::string& device, const Target& target,
                                    const std::string& precision, const Graph& step, size_t most) {
  LoweringOptions lowering{.target = target, .choose = nullptr};
  const Backend backend = make_backend(target, kernel_cache());
  const MeasureCandidates measure =
      measure_on({.name = device}, backend, lowering, 0, [](const LeftOut&) {});
  std::set<std::string> measured;
  lowering.choose = [&](const ContractionUse& use) {
    const ContractionShape shape = contraction_shape(use, false);
    const auto* conv = std::get_if<Conv2d>(&shape);
    if (!conv || conv->in_channels != conv->out_channels)
      return std::string();
    const std::vector<std::string> names = one_of_each(candidate_names(use, lowering), most);
    for (const Trial& trial : measure(use, names)) {
      EXPECT_LT(trial.relative_error, largest_tuning_error(parse_precision(precision)))
          << use.node.op->name << ", " << precision << ", " << trial.function;
      measured.insert(trial.function);
    }
    return std::string();
  };
  for (const auto& node : step.nodes)
    if (node->body || node->op->is_contraction())
      lower(
          *node, [](const Value&) { return true; }, lowering);
  return measured;
}

bool has(const std::set<std::string>& names, const std::string& kind) {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return name.find(kind) != name.npos; });
}

TEST(TilingTrials, OfEachKindOnTheEmulator) {
  for (const char* name : {"emu", "emu:sm_80"})
    for (const char* precision : {"3xtf32", "tf32", "bf16"}) {
      SCOPED_TRACE(fmt::format("{}, {}", name, precision));
      const Target target = parse_target(name);
      const auto measured =
          check_tilings("emu:0", target, precision, step_of(target, precision, 32, 7, 2), 3);
      EXPECT_EQ(has(measured, " halo"),
                target.has_warpgroups() && precision != std::string("3xtf32"));
      EXPECT_EQ(has(measured, " warpgroup"), target.has_warpgroups());
      EXPECT_EQ(has(measured, " rounding"),
                target.has_warpgroups() && precision != std::string("bf16"));
    }
}

void check_on_gpu(const Target& target) {
  SCOPED_TRACE(target.str());
  for (const char* precision : {"fp32", "3xtf32", "tf32", "bf16"}) {
    if (!supports(target, parse_precision(precision)))
      continue;
    // Enough rows and depth for tiles of 256 rows; channels of which 48 take slices of their own.
    for (int channels : {48, 128}) {
      const auto measured = check_tilings("cuda:0", target, precision,
                                          step_of(target, precision, channels, 20, 8), 12);
      EXPECT_EQ(has(measured, " warpgroup"),
                target.has_warpgroups() && precision != std::string("fp32"))
          << precision;
    }
  }
}

// Suites of their own, so that both compile at once (tools/gpu/check.sh).
TEST(TilingTrialsGpu, OfEachKind) {
  const std::vector<Target> targets = gpu_targets();
  if (targets.empty())
    GTEST_SKIP() << no_gpu;
  check_on_gpu(targets.front());
}

TEST(TilingTrialsOtherKernelsGpu, OfEachKind) {
  const std::vector<Target> targets = gpu_targets();
  if (targets.empty())
    GTEST_SKIP() << no_gpu;
  if (targets.size() > 1)
    check_on_gpu(targets.back());
}

} // namespace
} // namespace netc::test
