// Libraries as candidates: for which contractions, what they are asked for, what is left to a
// kernel.

#include "codegen/library_contraction.h"

#include "codegen/candidates.h"
#include "codegen/printer.h"
#include "ir/support/error.h"
#include "tests/passes/pass_support.h"

#include <gmock/gmock.h>

namespace netc::test {
namespace {

using testing::HasSubstr;

LoweringOptions options_for(const std::string& target) {
  return {.target = parse_target(target), .choose = nullptr};
}

/// A training step of a convolution and two fully connected layers, after fusing.
Graph training_step(const std::string& between = "  - {name: relu1, type: relu}\n",
                    const std::string& precision = "tf32") {
  Graph graph = forward_of("name: n\ninput: {channels: 2, height: 3, width: 3}\nlayers:\n"
                           "  - {name: conv, type: conv2d, filters: 4, kernel: 2}\n"
                           "  - {name: conv2, type: conv2d, filters: 4, kernel: 3, pad: 1, "
                           "groups: 2, bias: false}\n"
                           "  - {name: fc1, type: linear, features: 7}\n" +
                               between +
                               "  - {name: fc2, type: linear, features: 5}\n"
                               "  - {name: loss, type: softmax_cross_entropy}\n",
                           3);
  PassContext context = context_of(Mode::train);
  context.target = parse_target("cuda:sm_90");
  context.precision = parse_precision(precision);
  run_until(graph, context, "fuse-updates");
  return graph;
}

/// A contraction, and the node that is its kernel.
struct Found {
  const Node &contraction, &kernel;
};
Found find(const Graph& graph, const std::string& name) {
  for (const auto& node : graph.nodes)
    if (node->name == name)
      return {*node, *node};
    else if (const Value* result = node->body ? node->body->find(name) : nullptr)
      return {*result->node, *node};
  internal_error(__FILE__, __LINE__, "no node " + name);
}

std::vector<std::string> libraries_of(const Graph& graph, const std::string& name,
                                      const LoweringOptions& options) {
  std::vector<std::string> list;
  for (const std::string& candidate : candidate_names({find(graph, name).contraction}, options))
    if (is_library(candidate))
      list.push_back(candidate);
  return list;
}

TEST(LibraryContraction, FullyConnectedLayersOfGpusHaveOne) {
  for (const char* precision : {"fp32", "tf32"}) {
    const Graph graph = training_step("", precision);
    for (const char* node : {"fc1", "fc2.data_grad"}) {
      const auto names =
          candidate_names({find(graph, node).contraction}, options_for("cuda:sm_90a"));
      EXPECT_EQ(names.back(), "cublaslt") << node;
      EXPECT_FALSE(is_library(names.front())) << node << ": a library is the default";
      for (const char* target : {"cuda:sm_75", "cuda:compute_100"})
        EXPECT_EQ(libraries_of(graph, node, options_for(target)).size(), 1u) << target;
    }
  }
}

TEST(LibraryContraction, ConvolutionsOfGpusHaveOne) {
  const Graph graph = training_step("");
  for (const char* node : {"conv", "conv2", "conv2.data_grad", "conv.weight_grad"})
    EXPECT_EQ(candidate_names({find(graph, node).contraction}, options_for("cuda:sm_90a")).back(),
              "cudnn")
        << node;
}

TEST(LibraryContraction, NothingElseHas) {
  const Graph graph = training_step("");
  for (const char* node : {"fc1.weight_grad", "fc2.weight_grad"})
    EXPECT_TRUE(libraries_of(graph, node, options_for("cuda:sm_90a")).empty()) << node;
  for (const char* node : {"fc1", "conv"}) {
    for (const char* target : {"cpu", "emu"})
      EXPECT_TRUE(libraries_of(graph, node, options_for(target)).empty()) << target;
    LoweringOptions exact = options_for("cuda:sm_90a");
    exact.exact = true;
    EXPECT_TRUE(libraries_of(graph, node, exact).empty());
    for (const char* precision : {"bf16", "3xtf32"})
      EXPECT_TRUE(
          libraries_of(training_step("", precision), node, options_for("cuda:sm_90a")).empty())
          << precision;
  }
}

TEST(LibraryContraction, PadsThatDifferCountOnlyWhereAWindowBegins) {
  for (auto [pad, has] : {std::pair{"[1, 1, 1, 1]", true}, std::pair{"[0, 1, 1, 0]", false},
                          std::pair{"[1, 1, 0, 0]", true}}) {
    Graph graph = forward_of(
        fmt::format("name: n\ninput: {{channels: 2, height: 6, width: 6}}\nlayers:\n"
                    "  - {{name: conv, type: conv2d, filters: 4, kernel: 3, stride: 2, pad: {}}}\n",
                    pad),
        3);
    PassContext context = context_of(Mode::infer);
    context.target = parse_target("cuda:sm_90");
    run_until(graph, context, "assign-layouts");
    EXPECT_EQ(libraries_of(graph, "conv", options_for("cuda:sm_90")).size(), has ? 1u : 0u) << pad;
  }
}

/// The kernel that has the contraction of that name, by the library where one can.
LoweredNode lower_by_library(const Graph& graph, const std::string& name) {
  LoweringOptions options = options_for("cuda:sm_90");
  options.choose = [options](const ContractionUse& use) {
    const std::vector<std::string> names = library_candidates(use, options);
    return names.empty() ? "" : names.front();
  };
  return lower(
      find(graph, name).kernel, [](const Value&) { return true; }, options);
}

KernelText text_of(const LoweredNode& lowered) {
  return print_kernel(lowered, cuda_dialect(), false, 48 << 10);
}

TEST(LibraryContraction, TheBiasIsTheLibrarys) {
  const LoweredNode lowered = lower_by_library(training_step(), "fc1");
  EXPECT_EQ(lowered.contraction->library, (LibraryCall{.library = "cublaslt",
                                                       .pass = "linear_forward",
                                                       .batch = 3,
                                                       .in_features = 16,
                                                       .out_features = 7,
                                                       .bias = 2,
                                                       .result = 3,
                                                       .scratch = 4,
                                                       .scratch_bytes = 32 << 20}));
  EXPECT_EQ(lowered.workspace_bytes(), 32 << 20);
  const KernelText relu = text_of(lowered);
  EXPECT_EQ(relu.entries.size(), 1u) << "NaN must pass";
  EXPECT_THAT(relu.text,
              testing::StartsWith(
                  "// Generated by netc.\n"
                  "// cublaslt linear_forward 3x16->7, tf32: 0, 1, bias 2, to 3, scratch 4\n"));

  const KernelText last = text_of(lower_by_library(training_step(), "fc2"));
  EXPECT_TRUE(last.entries.empty());
  EXPECT_EQ(last.text, "// Generated by netc.\n"
                       "// cublaslt linear_forward 3x7->5, tf32: 0, 1, bias 2, to 3, scratch 4\n");
}

TEST(LibraryContraction, OtherMapsAreLeftToOneEntry) {
  const LoweredNode dropout = lower_by_library(
      training_step("  - {name: relu1, type: relu}\n  - {name: drop1, type: dropout, rate: 0.5}\n"),
      "fc1");
  const KernelText text = text_of(dropout);
  EXPECT_EQ(text.entries.size(), 1u);
  EXPECT_THAT(text.text, HasSubstr("netc::finish_sums<3, 7>(out0, Epilogue{in3, in4, out1});"));
  EXPECT_THAT(text.text, testing::Not(HasSubstr("in2[")));

  const LoweredNode sigmoid =
      lower_by_library(training_step("  - {name: sigmoid1, type: sigmoid}\n"), "fc1");
  EXPECT_GE(sigmoid.contraction->library->bias, 0);
  EXPECT_EQ(text_of(sigmoid).entries.size(), 1u);

  const LoweredNode gradient = lower_by_library(training_step(), "fc2.data_grad");
  EXPECT_EQ(gradient.contraction->library->pass, "linear_data_gradient");
  EXPECT_EQ(gradient.contraction->library->bias, -1);
  EXPECT_EQ(text_of(gradient).entries.size(), 1u);
}

TEST(LibraryContraction, WeightsOfConvolutionsAreReordered) {
  const Graph graph = training_step();
  const LoweredNode forward = lower_by_library(graph, "conv");
  EXPECT_EQ(
      forward.contraction->library,
      (LibraryCall{.library = "cudnn",
                   .pass = "conv2d_forward",
                   .batch = 3,
                   .in_features = 2,
                   .out_features = 4,
                   .convolution = ConvolutionShape{.in = {3, 3}, .out = {2, 2}, .kernel = {2, 2}},
                   .second = 4,
                   .result = 3,
                   .scratch = 5,
                   .scratch_bytes = 32 << 20,
                   .entries_before = 1}));
  EXPECT_EQ(forward.workspaces, (std::vector<int64_t>{4 * 2 * 2 * 2 * 4, 32 << 20}));
  const KernelText text = text_of(forward);
  EXPECT_EQ(text.entries.size(), 2u);
  EXPECT_THAT(text.text, HasSubstr("netc::pack_filters<shape>(in1, workspace);"));
  EXPECT_THAT(text.text, HasSubstr("netc::finish_sums<12, 4>(out0, Epilogue{in2});"));

  const LoweredNode gradient = lower_by_library(graph, "conv2.weight_grad");
  const LibraryCall& call = *gradient.contraction->library;
  EXPECT_EQ(call.convolution->groups, 2);
  EXPECT_EQ(call.convolution->pad, (std::array<int, 2>{1, 1}));
  EXPECT_EQ(std::tuple(call.first, call.second, call.result, call.scratch, call.entries_before),
            std::tuple(0, 1, 3, 4, 0));
  EXPECT_THAT(text_of(gradient).text, HasSubstr("netc::unpack_filters<shape>(workspace, out0);"));
}

TEST(LibraryContraction, ResultsInFewerBytesAreTheTemplates) {
  Graph graph =
      forward_of("name: n\ninput: {channels: 2, height: 6, width: 6}\nlayers:\n"
                 "  - {name: first, type: conv2d, filters: 8, kernel: 3, precision: fp32}\n"
                 "  - {name: then, type: conv2d, filters: 8, kernel: 3, precision: bf16}\n",
                 3);
  PassContext context = context_of(Mode::infer);
  context.target = parse_target("cuda:sm_90a");
  run_until(graph, context, "assign-storage");
  const LoweredNode first = lower_by_library(graph, "first");
  ASSERT_EQ(first.results[0]->storage, DType::bf16);
  EXPECT_FALSE(first.contraction->library);
  EXPECT_THAT(text_of(first).text, HasSubstr("netc::conv2d_forward<shape, tiling, 0>"));
}

TEST(LibraryContraction, DifferentCallsAreDifferentKernels) {
  LoweredNode lowered = lower_by_library(training_step(), "fc1");
  std::set<std::string> texts = {text_of(lowered).text};
  lowered.contraction->library->bias = -1;
  texts.insert(text_of(lowered).text);
  lowered.contraction->precision = Precision::fp32;
  texts.insert(text_of(lowered).text);
  lowered.contraction->shape = Linear{4, 16, 7};
  texts.insert(text_of(lowered).text);
  EXPECT_EQ(texts.size(), 4u);
}

} // namespace
} // namespace netc::test
