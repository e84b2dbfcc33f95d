// Sessions on a GPU: the losses of the CPU, the step as one graph, the same bits however far the
// host runs ahead.

#include "tests/driver/session_support.h"
#include "tests/support/gpu.h"

#include <gmock/gmock.h>

namespace netc::test {
namespace {

using testing::HasSubstr;

constexpr int steps = 6;

class SessionGpu : public testing::Test {
protected:
  void SetUp() override {
    std::optional<Target> gpu = first_gpu();
    if (!gpu)
      GTEST_SKIP() << no_gpu;
    // Exact sums: the CPU's losses are the GPU's but for the last bits of exponentials.
    CompileOptions options = test_options(true);
    source_ = source_of(tiny_network());
    cpu_ = compile_into(source_, options, folder_ / "cpu");
    options.target = *gpu;
    gpu_ = compile_into(source_, options, folder_ / "gpu");
  }
  std::unique_ptr<Session> on_gpu(int64_t memory_limit = 0) const {
    auto session = std::make_unique<Session>(
        gpu_.plan, gpu_.folder, DeviceSpec{.name = "cuda:0", .memory_limit = memory_limit});
    session->initialize(1);
    return session;
  }

  TemporaryFolder folder_;
  NetworkSource source_;
  Compiled cpu_, gpu_;
};

TEST_F(SessionGpu, FollowsTheLossesOfTheCpu) {
  Session cpu(cpu_.plan, cpu_.folder);
  cpu.initialize(1);
  std::vector<float> expected = train_steps(cpu, steps), losses = train_steps(*on_gpu(), steps);
  for (size_t i = 0; i < steps; ++i)
    EXPECT_NEAR(losses[i], expected[i], 1e-4 * expected[i]) << "step " << i;
}

TEST_F(SessionGpu, PtxComputesWhatABinaryComputes) {
  CompileOptions options = test_options(true);
  options.target = parse_target(fmt::format("cuda:compute_{}", first_gpu()->capability()));
  const Compiled compiled = compile_into(source_, options, folder_ / "ptx");
  std::unique_ptr<Session> ptx;
  try {
    ptx = std::make_unique<Session>(compiled.plan, compiled.folder, DeviceSpec{.name = "cuda:0"});
  } catch (const RuntimeError& error) { // a driver older than the toolkit runs binaries only
    EXPECT_THAT(error.what(), HasSubstr("cudaErrorUnsupportedPtxVersion"));
    return;
  }
  ptx->initialize(1);
  // Not to the bit: with less shared memory, sums may be cut otherwise.
  std::vector<float> expected = train_steps(*on_gpu(), steps), losses = train_steps(*ptx, steps);
  for (size_t i = 0; i < steps; ++i)
    EXPECT_NEAR(losses[i], expected[i], 1e-4 * expected[i]) << "step " << i;
}

TEST_F(SessionGpu, TheStepIsCapturedAsAGraph) {
  EXPECT_THAT(on_gpu()->device().notes(), testing::IsEmpty());
}

TEST_F(SessionGpu, RunningAheadGivesTheSameBits) {
  auto direct = on_gpu(), ahead = on_gpu();
  EXPECT_EQ(train_steps(*direct, steps), train_ahead(*ahead, steps));
  EXPECT_TRUE(state_bytes(*direct) == state_bytes(*ahead));
}

TEST_F(SessionGpu, TwoShareAGpu) {
  auto alone = on_gpu();
  train_steps(*alone, steps);
  const std::string expected = state_bytes(*alone);
  auto one = on_gpu(), other = on_gpu();
  for (int i = 0; i < steps; ++i) {
    for (Session* session : {one.get(), other.get()}) {
      fill_step(*session, i);
      session->start("train");
    }
    for (Session* session : {one.get(), other.get()})
      session->finish("train");
  }
  EXPECT_TRUE(state_bytes(*one) == expected);
  EXPECT_TRUE(state_bytes(*other) == expected);
}

TEST_F(SessionGpu, AMemoryLimitIsRefusedInWords) {
  try {
    on_gpu(200'000);
    FAIL() << "no error";
  } catch (const RuntimeError& error) {
    EXPECT_THAT(error.what(), HasSubstr("the plan of `tiny` for batches of 16 needs "));
    EXPECT_THAT(error.what(), HasSubstr(" on `cuda:0`, which may use 0.2 MB (`--memory-limit`)"));
    EXPECT_THAT(error.hint(), HasSubstr("raise `--memory-limit`"));
  }
}

} // namespace
} // namespace netc::test
