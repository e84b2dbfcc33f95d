// The wrapper round the passes: names, skipping, stopping, printing, counting, blaming.

#include "ir/support/error.h"
#include "tests/passes/pass_support.h"

#include <gmock/gmock.h>

namespace netc::test {
namespace {

using testing::HasSubstr;
using testing::Not;

Graph small() {
  return forward_of("name: n\ninput: {channels: 1, height: 4, width: 4}\nlayers:\n"
                    "  - {name: conv, type: conv2d, filters: 2, kernel: 3}\n"
                    "  - {name: relu, type: relu}\n"
                    "  - {name: fc, type: linear, features: 2}\n"
                    "  - {name: loss, type: softmax_cross_entropy}\n",
                    2);
}

struct Outcome {
  std::vector<PassReport> reports;
  std::string dump, graph;
};

Outcome run(const PipelineOptions& options) {
  Graph graph = small();
  PassContext context = context_of(Mode::train);
  std::ostringstream dump;
  Outcome result;
  result.reports = run_pipeline(graph, context, options, dump);
  result.dump = dump.str();
  result.graph = print(graph);
  return result;
}

std::string error_of(const PipelineOptions& options) {
  try {
    run(options);
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

TEST(Pipeline, OrderIsTheDocumentedOne) {
  std::vector<std::string> names;
  for (const Pass& pass : pipeline())
    names.push_back(pass.name);
  EXPECT_EQ(names, (std::vector<std::string>{"canonicalize", "fold-constants", "cse", "dce",
                                             "space-to-depth", "autodiff", "assign-precision",
                                             "assign-layouts", "partition", "fuse-windows",
                                             "fuse-epilogue", "fuse-updates", "assign-storage",
                                             "fuse-bias-gradients", "order", "plan-memory"}));
}

TEST(Pipeline, ReportsEachPass) {
  Outcome all = run({});
  ASSERT_EQ(all.reports.size(), pipeline().size());
  for (size_t i = 0; i < all.reports.size(); ++i) {
    EXPECT_EQ(all.reports[i].name, pipeline()[i].name);
    EXPECT_GE(all.reports[i].rewrites, 0);
    EXPECT_GE(all.reports[i].seconds, 0);
    EXPECT_GT(all.reports[i].nodes, 0u);
  }
  auto rewrites = [&](const std::string& pass) {
    for (const PassReport& report : all.reports)
      if (report.name == pass)
        return report.rewrites;
    return -1;
  };
  EXPECT_EQ(rewrites("autodiff"), 4);     // Updates of two weights and two biases.
  EXPECT_EQ(rewrites("fuse-updates"), 3); // They become one.
  EXPECT_EQ(all.dump, "");
}

TEST(Pipeline, PrintsAfterTheNamedPasses) {
  Outcome some = run({.print_after = {"dce", "cse"}});
  EXPECT_THAT(some.dump, testing::StartsWith("// after cse\ngraph n from \"net.yaml\" {"));
  EXPECT_THAT(some.dump, HasSubstr("// after dce\n"));
  EXPECT_THAT(some.dump, Not(HasSubstr("// after autodiff\n")));
  Outcome all = run({.print_after = {"all"}});
  for (const Pass& pass : pipeline())
    EXPECT_THAT(all.dump, HasSubstr("// after " + pass.name + "\n"));
  EXPECT_THAT(all.dump, testing::EndsWith("// after plan-memory\n" + all.graph));
}

TEST(Pipeline, StopsAndSkips) {
  Outcome stopped = run({.stop_after = "autodiff"});
  EXPECT_EQ(stopped.reports.back().name, "autodiff");
  EXPECT_THAT(stopped.graph, HasSubstr("sgd_update"));
  EXPECT_THAT(stopped.graph, Not(HasSubstr("fused")));
  Outcome skipped = run({.skip = {"fuse-updates"}});
  EXPECT_EQ(skipped.reports.size(), pipeline().size() - 1);
  EXPECT_THAT(skipped.graph, Not(HasSubstr("kind = \"update\"")));
  Outcome both = run({.stop_after = "dce", .skip = {"dce"}});
  EXPECT_EQ(both.reports.back().name, "cse");
}

TEST(Pipeline, CallsBackAfterEachPassThatRan) {
  std::vector<std::string> seen;
  PipelineOptions options;
  options.skip = {"cse"};
  options.stop_after = "autodiff";
  options.after = [&](const Pass& pass, const Graph& graph) {
    seen.push_back(pass.name);
    EXPECT_FALSE(graph.nodes.empty());
  };
  run(options);
  EXPECT_EQ(seen, (std::vector<std::string>{"canonicalize", "fold-constants", "dce",
                                            "space-to-depth", "autodiff"}));
}

TEST(Pipeline, UnknownNamesAreUserErrors) {
  EXPECT_EQ(error_of({.print_after = {"fuse-window"}}),
            "error: --print-after `fuse-window`: there is no such pass, did you mean "
            "`fuse-windows`?\nnote: `netc passes` lists them\n");
  EXPECT_EQ(error_of({.stop_after = "memory"}),
            "error: --stop-after `memory`: there is no such pass\n"
            "note: `netc passes` lists them\n");
  EXPECT_THAT(error_of({.skip = {"csee"}}), HasSubstr("did you mean `cse`?"));
  EXPECT_THAT(error_of({.skip = {"all"}}), HasSubstr("--skip `all`: there is no such pass"));
}

TEST(Pipeline, RequiredPassesCannotBeSkipped) {
  for (const Pass& pass : pipeline())
    EXPECT_EQ(error_of({.skip = {pass.name}}),
              pass.required
                  ? fmt::format("error: --skip `{}`: this pass is needed by all that follows\n",
                                pass.name)
                  : "");
}

TEST(Pipeline, TrainingWithoutALossIsAUserError) {
  Graph graph = forward_of("name: n\ninput: {channels: 1, height: 4, width: 4}\nlayers:\n"
                           "  - {name: fc, type: linear, features: 2}\n",
                           2);
  PassContext context = context_of(Mode::train);
  try {
    run_until(graph, context, "");
    FAIL() << "no error";
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(),
                 "error: the network `n` has no loss to train on\n"
                 "note: end its layers with `{name: loss, type: softmax_cross_entropy}`\n");
  }
  PassContext inference = context_of(Mode::infer);
  EXPECT_NO_THROW(run_until(graph, inference, ""));
}

TEST(Pipeline, ABrokenInvariantNamesThePass) {
  Graph graph = small();
  graph.outputs.front().value = nullptr;
  PassContext context = context_of(Mode::train);
  graph.nodes.back()->results[0]->type.shape = {7};
  try {
    run_until(graph, context, "fold-constants");
    FAIL() << "no error";
  } catch (const InternalError& error) {
    EXPECT_THAT(error.what(), HasSubstr("in pass `canonicalize`"));
  }
}

/// The contractions of two layers, one that asks for bf16 and one that does not, with precisions.
std::pair<Graph, PassContext> assigned(const std::string& target, Precision precision, bool exact) {
  Graph graph =
      forward_of("name: n\ninput: {channels: 1, height: 4, width: 4}\nlayers:\n"
                 "  - {name: conv, type: conv2d, filters: 2, kernel: 3, precision: bf16}\n"
                 "  - {name: fc, type: linear, features: 2}\n"
                 "  - {name: loss, type: softmax_cross_entropy}\n",
                 2);
  PassContext context = context_of(Mode::train);
  context.target = parse_target(target);
  context.precision = precision;
  context.exact = exact;
  run_until(graph, context, "assign-precision");
  return {std::move(graph), std::move(context)};
}

std::string precisions_on(const std::string& target, Precision precision, bool exact = false) {
  const auto [graph, context] = assigned(target, precision, exact);
  std::string text;
  for (const auto& node : graph.nodes)
    if (node->op->is_contraction())
      text += (text.empty() ? "" : " ") + node->attrs.text("precision");
  return text;
}

TEST(AssignPrecision, LayersGetWhatTheyAskForWhereTheTargetHasIt) {
  // Forward of both layers, then the gradients: the second's two, the first's one.
  const std::string mixed = "bf16 tf32 tf32 tf32 bf16", single = "fp32 fp32 fp32 fp32 fp32";
  EXPECT_EQ(precisions_on("cuda:sm_80", Precision::tf32), mixed);
  EXPECT_EQ(precisions_on("emu", Precision::tf32), mixed);
  EXPECT_EQ(precisions_on("cpu", Precision::fp32), single);
  EXPECT_EQ(precisions_on("cuda:sm_75", Precision::fp32), single);
  EXPECT_EQ(precisions_on("cuda:sm_80", Precision::tf32, true), single);
}

TEST(AssignPrecision, LayersThatAskInVainAreNamedOnce) {
  const std::vector<DeniedPrecision> conv = {{"conv", Precision::bf16}};
  EXPECT_EQ(assigned("cpu", Precision::fp32, false).second.denied_precisions, conv);
  EXPECT_EQ(assigned("cuda:sm_75", Precision::fp32, false).second.denied_precisions, conv);
  EXPECT_EQ(assigned("cuda:sm_80", Precision::tf32, true).second.denied_precisions, conv);
  EXPECT_TRUE(assigned("cuda:sm_80", Precision::tf32, false).second.denied_precisions.empty());
}

TEST(Pipeline, RequiredPassesDoNotAskForRewrites) {
  Graph graph = small();
  PassContext context = context_of(Mode::train);
  context.rewrites_left = 0;
  std::ostringstream dump;
  const auto reports = run_pipeline(graph, context, {.verify_each = true}, dump);
  for (size_t i = 0; i < reports.size(); ++i)
    EXPECT_TRUE(pipeline()[i].required || reports[i].rewrites == 0) << reports[i].name;
  EXPECT_EQ(graph.stores.size(), 8u); // Four parameters and their momenta.
  for (const auto& node : graph.nodes)
    EXPECT_TRUE(node->op != &ops::conv2d || node->result()->layout == Layout::nhwc);
}

} // namespace
} // namespace netc::test
