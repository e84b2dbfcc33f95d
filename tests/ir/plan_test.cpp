// Plans as folders: what stands in plan.json, and back.

#include "ir/plan.h"

#include "ir/support/files.h"
#include "tests/runtime/temporary_folder.h"

#include <gmock/gmock.h>

namespace netc {
namespace {

using testing::HasSubstr;

Plan plan_with(std::optional<LibraryCall> call) {
  Plan plan;
  plan.target = "cuda:sm_90a";
  plan.kernels = {{.name = "00_fc",
                   .binary = "0123",
                   .implementation = "cublaslt",
                   .precision = "tf32",
                   .entries = {{.blocks = 3}},
                   .library = std::move(call)}};
  return plan;
}

TEST(PlanFolder, LibraryCallsReadBack) {
  const LibraryCall call{.library = "cublaslt",
                         .pass = "linear_forward",
                         .batch = 128,
                         .in_features = 9216,
                         .out_features = 4096,
                         .bias = 2,
                         .result = 3,
                         .scratch = 4,
                         .scratch_bytes = 1024};
  TemporaryFolder folder;
  write_plan(plan_with(call), folder.path());
  const std::string text = read_text(folder / "plan.json").value();
  EXPECT_THAT(text, HasSubstr("\"pass\": \"linear_forward\""));
  const Plan plan = read_plan(folder.path());
  EXPECT_EQ(plan.kernels.at(0).library, call);
  EXPECT_EQ(plan.kernels.at(0).entries.at(0).blocks, 3);
  write_plan(plan, folder.path());
  EXPECT_EQ(read_text(folder / "plan.json"), text);
}

TEST(PlanFolder, RegistersThatTheCompilerDoesNotSayAreNull) {
  TemporaryFolder folder;
  Plan plan = plan_with({});
  plan.kernels[0].entries = {{.blocks = 3}, {.registers = 32}};
  write_plan(plan, folder.path());
  const std::string text = read_text(folder / "plan.json").value();
  EXPECT_THAT(text, HasSubstr("\"registers\": null,\n          \"spill_bytes\": null"));
  EXPECT_THAT(text, HasSubstr("\"registers\": 32,\n          \"spill_bytes\": 0"));
  EXPECT_EQ(read_plan(folder.path()).kernels.at(0).entries, plan.kernels[0].entries);
}

TEST(PlanFolder, ConvolutionsReadBack) {
  const LibraryCall call{.library = "cudnn",
                         .pass = "conv2d_weight_gradient",
                         .convolution = ConvolutionShape{.in = {27, 28},
                                                         .out = {13, 14},
                                                         .kernel = {5, 3},
                                                         .groups = 2,
                                                         .stride = {2, 1},
                                                         .dilation = {1, 2},
                                                         .pad = {1, 0}},
                         .entries_before = 1};
  TemporaryFolder folder;
  write_plan(plan_with(call), folder.path());
  EXPECT_EQ(read_plan(folder.path()).kernels.at(0).library, call);
}

TEST(PlanFolder, KernelsWithoutOneSayNothingOfIt) {
  TemporaryFolder folder;
  write_plan(plan_with({}), folder.path());
  EXPECT_THAT(read_text(folder / "plan.json").value(), testing::Not(HasSubstr("library")));
  EXPECT_FALSE(read_plan(folder.path()).kernels.at(0).library);
}

} // namespace
} // namespace netc
