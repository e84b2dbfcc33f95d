// Plans that call cuBLASLt because their tuning table says so: what they hold, and on a GPU that
// they compute the same.

#include "codegen/nvrtc.h"
#include "codegen/tuning.h"
#include "tests/driver/session_support.h"
#include "tests/support/gpu.h"

#include <gmock/gmock.h>

#include <cmath>

namespace netc::test {
namespace {

using testing::HasSubstr;

/// Layers with all that may stand behind a product: bias, ReLU, dropout, masks of gradients.
std::string layers() {
  return R"(name: layers
input: {channels: 3, height: 8, width: 8, scale: 0.015625}
layers:
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

/// Chooses the library for every contraction of `layers` that it may compute.
std::string table_for(const std::string& arch, const std::string& precision) {
  TuningTable table;
  for (const char* key :
       {"linear_forward 16x192->40", "linear_forward 16x40->37", "linear_forward 16x37->10",
        "linear_data_gradient 16x40->37", "linear_data_gradient 16x37->10"})
    table.set(fmt::format("{} | {}, {}", key, arch, precision), {"cublaslt", {}});
  return table.str();
}

class CublasLtPlans : public testing::Test {
protected:
  Compiled compile(const Target& target, Precision precision, const std::string& name,
                   bool library) {
    CompileOptions options = test_options();
    options.target = target;
    options.precision = precision;
    if (library) {
      options.tuning = folder_ / (name + ".json");
      std::ofstream(options.tuning) << table_for(target.arch, std::string(to_string(precision)));
    }
    return compile_into(source_of(layers(), "layers.yaml"), options, folder_ / name);
  }
  TemporaryFolder folder_;
};

TEST_F(CublasLtPlans, HoldTheCallsOfTheTable) {
  if (!NvrtcToolchain().available())
    GTEST_SKIP() << "skipped: no NVRTC";
  compile(parse_target("cuda:sm_90a"), Precision::tf32, "plan", true);
  const Plan plan = read_plan(folder_ / "plan");
  std::vector<std::string> calls;
  for (const PlanKernel& kernel : plan.kernels)
    if (kernel.library)
      calls.push_back(fmt::format("{} {}->{}{}{}, {} entries", kernel.library->pass,
                                  kernel.library->in_features, kernel.library->out_features,
                                  kernel.library->bias >= 0 ? " bias" : "",
                                  kernel.library->relu ? " relu" : "", kernel.entries.size()));
  EXPECT_THAT(calls,
              testing::UnorderedElementsAre(
                  "linear_forward 192->40 bias relu, 1 entries", // training: dropout
                  "linear_forward 192->40 bias relu, 1 entries", // and its inference
                  "linear_forward 40->37 bias relu, 0 entries",
                  "linear_forward 37->10 bias, 0 entries", "linear_data_gradient 40->37, 1 entries",
                  "linear_data_gradient 37->10, 1 entries"));
  for (const Program& program : plan.programs)
    EXPECT_NO_THROW(verify(program));
  EXPECT_THAT(read_text(folder_ / "plan/tuning.json"), HasSubstr("\"chosen\": \"cublaslt\""));
}

constexpr int steps = 6;

class CublasLtGpu : public CublasLtPlans {
protected:
  void SetUp() override {
    std::optional<Target> gpu = first_gpu();
    if (!gpu)
      GTEST_SKIP() << no_gpu;
    gpu_ = *gpu;
  }
  std::unique_ptr<Session> open(const Compiled& compiled) const {
    auto session =
        std::make_unique<Session>(compiled.plan, compiled.folder, DeviceSpec{.name = "cuda:0"});
    session->initialize(1);
    return session;
  }
  Target gpu_;
};

TEST_F(CublasLtGpu, ComputesWhatKernelsCompute) {
  for (Precision precision : {Precision::fp32, Precision::tf32}) {
    if (!supports(gpu_, precision))
      continue;
    const std::string name(to_string(precision));
    auto own = open(compile(gpu_, precision, name + "-own", false));
    auto library = open(compile(gpu_, precision, name + "-library", true));
    EXPECT_THAT(library->device().notes(), testing::IsEmpty()) << "the step is no graph";
    const std::vector<float> expected = train_steps(*own, steps),
                             losses = train_steps(*library, steps);
    const double tolerance = precision == Precision::fp32 ? 1e-4 : 5e-3;
    for (size_t i = 0; i < steps; ++i)
      EXPECT_NEAR(losses[i], expected[i], tolerance * expected[i]) << name << ", step " << i;
  }
}

TEST_F(CublasLtGpu, RunsGiveTheSameBits) {
  const Compiled compiled = compile(gpu_, Precision::fp32, "plan", true);
  auto direct = open(compiled), ahead = open(compiled);
  EXPECT_EQ(train_steps(*direct, steps), train_ahead(*ahead, steps));
  EXPECT_TRUE(state_bytes(*direct) == state_bytes(*ahead));
}

TEST_F(CublasLtGpu, NaNPassesThrough) {
  auto session = open(compile(gpu_, Precision::fp32, "plan", true));
  session->write_state("fc2.bias", [](std::span<float> values) { values[0] = NAN; });
  EXPECT_TRUE(std::isnan(train_steps(*session, 1)[0])) << "the library's ReLU made it a number";
}

TEST_F(CublasLtGpu, IsMeasuredBesideTilings) {
  CompileOptions options = test_options();
  options.target = gpu_;
  options.precision = Precision::fp32;
  options.tune = true;
  compile_into(source_of(layers(), "layers.yaml"), options, folder_ / "plan");
  const TuningTable table = TuningTable::parse(read_text(folder_ / "plan/tuning.json"), "table");
  const TuningEntry* entry =
      table.find(fmt::format("linear_forward 16x192->40 | {}, fp32", gpu_.arch));
  ASSERT_TRUE(entry);
  const auto trial = std::find_if(entry->trials.begin(), entry->trials.end(),
                                  [](const Trial& t) { return t.function == "cublaslt"; });
  ASSERT_NE(trial, entry->trials.end());
  EXPECT_LT(trial->relative_error, 1e-5);
  EXPECT_GT(trial->ms, 0);
}

} // namespace
} // namespace netc::test
