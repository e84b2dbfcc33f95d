// Plans that call cuBLASLt and cuDNN because their tuning table says so: what they hold, and on a
// GPU that they compute the same.

#include "codegen/nvrtc.h"
#include "codegen/tuning.h"
#include "runtime/cuda/cuda.h"
#include "tests/driver/session_support.h"
#include "tests/support/gpu.h"
#include "tools/driver/backend.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <iostream>

namespace netc::test {
namespace {

using testing::HasSubstr;

/// Layers with all that may stand behind a product: bias, ReLU, dropout, masks of gradients.
std::string layers() {
  return R"(name: layers
input: {channels: 3, height: 8, width: 8, scale: 0.015625}
layers:
  - {name: conv, type: conv2d, filters: 8, kernel: 3, pad: 1}
  - {name: relu0, type: relu}
  - {name: pool, type: max_pool2d, kernel: 2, stride: 2, rounding: floor}
  - {name: conv2, type: conv2d, filters: 12, kernel: 3, pad: 1, groups: 2}
  - {name: fc1, type: linear, features: 40}
  - {name: relu1, type: relu}
  - {name: drop1, type: dropout, rate: 0.5}
  - {name: fc2, type: linear, features: 37}
  - {name: relu2, type: relu}
  - {name: fc3, type: linear, features: 10}
  - {name: loss, type: softmax_cross_entropy}
train:
  batch: 16
  epochs: 1
  optimizer: {rate: 0.01, momentum: 0.9, decay: 5e-4}
)";
}

/// Has cuBLASLt compute the fully connected layers of `layers`, but for the weights' gradients; and
/// cuDNN the second convolution where `convolutions` says so.
std::string table_for(const std::string& arch, const std::string& precision, bool convolutions) {
  TuningTable table;
  auto choose = [&](const std::string& key, const char* library) {
    for (const char* operands : {"", ", rounded operands"})
      for (const char* result : {"", ", tf32 result"})
        table.set(fmt::format("{} | {}, {}{}{}", key, arch, precision, operands, result),
                  {library, {}});
  };
  for (const char* key : {"linear_forward 16x192->40", "linear_forward 16x40->37",
                          "linear_forward 16x37->10", "linear_data_gradient 16x192->40",
                          "linear_data_gradient 16x40->37", "linear_data_gradient 16x37->10"})
    choose(key, "cublaslt");
  for (const char* pass : {"forward", "data_gradient", "weight_gradient"})
    if (convolutions)
      choose(fmt::format("conv2d_{} 16x4x4x8->12 kernel 3x3 groups 2 stride 1x1 dilation 1x1 pad "
                         "1,1,1,1",
                         pass),
             "cudnn");
  return table.str();
}

class LibraryPlans : public testing::Test {
protected:
  /// With the contractions of that tuning table; empty: without one.
  Compiled compile(const Target& target, Precision precision, const std::string& name,
                   const std::string& table, bool tune = false) {
    CompileOptions options = test_options();
    options.target = target;
    options.precision = precision;
    options.tune = tune;
    if (!table.empty()) {
      options.tuning = folder_ / (name + ".json");
      std::ofstream(options.tuning) << table;
    }
    return compile_into(source_of(layers(), "layers.yaml"), options, folder_ / name);
  }
  TemporaryFolder folder_;
};

TEST_F(LibraryPlans, HoldTheCallsOfTheTable) {
  if (!NvrtcToolchain().available())
    GTEST_SKIP() << "skipped: no NVRTC";
  compile(parse_target("cuda:sm_90"), Precision::tf32, "plan", table_for("sm_90", "tf32", true));
  const Plan plan = read_plan(folder_ / "plan");
  std::vector<std::string> calls;
  for (const PlanKernel& kernel : plan.kernels)
    if (kernel.library)
      calls.push_back(fmt::format(
          "{} {} {}->{}{}, entries {} + {}", kernel.library->library, kernel.library->pass,
          kernel.library->in_features, kernel.library->out_features,
          kernel.library->bias >= 0 ? " bias" : "", kernel.library->entries_before,
          static_cast<int>(kernel.entries.size()) - kernel.library->entries_before));
  EXPECT_THAT(calls, testing::UnorderedElementsAre(
                         "cudnn conv2d_forward 8->12, entries 1 + 1",
                         "cudnn conv2d_data_gradient 8->12, entries 1 + 0",
                         "cudnn conv2d_weight_gradient 8->12, entries 0 + 1",
                         "cublaslt linear_forward 192->40 bias, entries 0 + 1", // dropout
                         "cublaslt linear_forward 192->40 bias, entries 0 + 1", // inference
                         "cublaslt linear_forward 40->37 bias, entries 0 + 1",
                         "cublaslt linear_forward 37->10 bias, entries 0 + 0",
                         "cublaslt linear_data_gradient 192->40, entries 0 + 0",
                         "cublaslt linear_data_gradient 40->37, entries 0 + 1",
                         "cublaslt linear_data_gradient 37->10, entries 0 + 1"));
  for (const Program& program : plan.programs)
    EXPECT_NO_THROW(verify(program));
  EXPECT_THAT(read_text(folder_ / "plan/tuning.json"), HasSubstr("\"chosen\": \"cublaslt\""));
}

constexpr int steps = 6;

class LibrariesGpu : public LibraryPlans {
protected:
  void SetUp() override {
    if (!first_gpu())
      GTEST_SKIP() << no_gpu;
    if (!has_library("cublaslt"))
      GTEST_SKIP() << "skipped: no cuBLASLt";
    gpu_ = *first_gpu();
  }
  std::unique_ptr<Session> open(const Compiled& compiled) const {
    auto session =
        std::make_unique<Session>(compiled.plan, compiled.folder, DeviceSpec{.name = "cuda:0"});
    session->initialize(1);
    return session;
  }
  /// With cuBLASLt wherever it may be.
  Compiled with_cublaslt(Precision precision) {
    Compiled compiled = compile(gpu_, precision, "cublaslt",
                                table_for(gpu_.arch, std::string(to_string(precision)), false));
    EXPECT_GT(std::count_if(compiled.plan.kernels.begin(), compiled.plan.kernels.end(),
                            [](const PlanKernel& kernel) { return kernel.library.has_value(); }),
              0)
        << "the table's keys are others";
    return compiled;
  }
  Target gpu_;
};

/// The table with a library for every contraction that one was measured for, and was right.
/// `chosen` counts them.
std::string with_libraries(const std::string& table, std::map<std::string, int>& chosen) {
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(table);
  for (auto& [key, entry] : json["contractions"].items())
    for (const auto& trial : entry["measured"])
      if (const std::string name = trial["candidate"]; name == "cublaslt" || name == "cudnn") {
        EXPECT_LT(trial["relative_error"], 1e-5) << name << " of " << key;
        EXPECT_GT(trial["ms"], 0);
        entry["chosen"] = name;
        ++chosen[name];
      }
  return json.dump();
}

TEST_F(LibrariesGpu, AreMeasuredAndComputeWhatKernelsCompute) {
  const Compiled tuned = compile(gpu_, Precision::fp32, "tuned", "", true);
  std::map<std::string, int> chosen;
  const std::string table = with_libraries(read_text(tuned.folder / "tuning.json"), chosen);
  EXPECT_EQ(chosen["cublaslt"], 6);
  if (has_library("cudnn")) {
    EXPECT_GT(chosen["cudnn"], 0);
  } else {
    EXPECT_EQ(tuned.left_out, (std::vector<LeftOut>{{"cudnn", library_problem("cudnn")}}));
  }
  auto own = open(compile(gpu_, Precision::fp32, "own", ""));
  auto library = open(compile(gpu_, Precision::fp32, "library", table));
  EXPECT_THAT(library->device().notes(), testing::IsEmpty()) << "the step is no graph";
  const std::vector<float> expected = train_steps(*own, steps),
                           losses = train_steps(*library, steps);
  for (size_t i = 0; i < steps; ++i)
    EXPECT_NEAR(losses[i], expected[i], 1e-4 * expected[i]) << "step " << i;
}

TEST_F(LibrariesGpu, MultiplyTF32) {
  if (!supports(gpu_, Precision::tf32))
    return;
  auto own = open(compile(gpu_, Precision::fp32, "own", ""));
  auto library = open(with_cublaslt(Precision::tf32));
  const std::vector<float> expected = train_steps(*own, steps),
                           losses = train_steps(*library, steps);
  for (size_t i = 0; i < steps; ++i)
    EXPECT_NEAR(losses[i], expected[i], 1e-2 * expected[i]) << "step " << i;
}

TEST_F(LibrariesGpu, RunsGiveTheSameBits) {
  const Compiled compiled = with_cublaslt(Precision::fp32);
  auto direct = open(compiled), ahead = open(compiled);
  EXPECT_EQ(train_steps(*direct, steps), train_ahead(*ahead, steps));
  EXPECT_TRUE(state_bytes(*direct) == state_bytes(*ahead));
}

TEST_F(LibrariesGpu, NaNPassesThrough) {
  auto session = open(with_cublaslt(Precision::fp32));
  session->write_state("fc2.bias", [](std::span<float> values) { values[0] = NAN; });
  EXPECT_TRUE(std::isnan(train_steps(*session, 1)[0])) << "the library's ReLU made it a number";
}

} // namespace
} // namespace netc::test
