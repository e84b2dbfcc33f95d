// What the emulated device checks beside the accesses of kernels, and what it does without memory.

#include "tests/driver/driver_support.h"
#include "tests/emu/emu_testing.h"

#include <gmock/gmock.h>

#include <sys/resource.h>

namespace netc::test {
namespace {

using testing::HasSubstr;

class EmuDevice : public testing::Test {
protected:
  void SetUp() override {
    CompileOptions options = test_options();
    options.target = parse_target("emu");
    options.batch = 2;
    options.train = false;
    plan_ = compile_into(source_of(tiny_network()), options, folder_ / "p").plan;
  }
  void run() const {
    Session session(plan_, folder_ / "p", DeviceSpec{.name = "emu:0"});
    session.initialize(1);
    session.run("eval");
  }
  /// What running the plan fails with.
  std::string failure() const {
    try {
      run();
    } catch (const InternalError& error) {
      return error.what();
    }
    return "nothing";
  }

  TemporaryFolder folder_;
  Plan plan_;
};

TEST_F(EmuDevice, OutputsMustBeWritten) {
  EXPECT_NO_THROW(run());
  plan_.programs[0].steps.pop_back();
  EXPECT_THAT(failure(), HasSubstr("no step of `eval` writes byte 0 of its output `"));
}

TEST_F(EmuDevice, BlocksMustFitAGpu) {
  KernelEntry& entry = plan_.kernels[0].entries[0];
  const KernelEntry right = entry;
  entry.threads += 1;
  EXPECT_THAT(failure(), HasSubstr("kernel `" + plan_.kernels[0].name + "`: "));
  entry = right;
  entry.shared_bytes = (227 << 10) + 1;
  EXPECT_THAT(failure(), HasSubstr("232449 bytes of shared memory, of 232448"));
  plan_.target = "emu:sm_75";
  EXPECT_THAT(failure(), HasSubstr("232449 bytes of shared memory, of 65536"));
}

TEST_F(EmuDevice, FaultsNameThePlansFileAndTheBuffersSize) {
  const Step& first = plan_.programs[0].steps[0];
  Buffer& images = plan_.programs[0].buffers[static_cast<size_t>(first.buffers[0])];
  images.bytes = 256;
  const std::string message = failure();
  EXPECT_THAT(message, HasSubstr(" at kernels/" + first.kernel + ".cu:"));
  EXPECT_THAT(message, HasSubstr(" of `" + images.name + "`, which has 256 bytes"));
}

TEST(EmuMemory, WhatTheSystemRefusesOnAFibreIsAnError) {
  EmuText text(emu_header + R"(
extern "C" __global__ void kernel_0(netc::Global<unsigned char> bytes) { bytes[0] = 1; }
)");
  int code = run_child([&] {
    EmuArray<unsigned char> bytes(64 << 20); // a cell for every byte takes 2 GB
    rlimit limit{};
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = static_cast<rlim_t>(3) << 29;
    setrlimit(RLIMIT_AS, &limit);
    Emulator emulator;
    EmulatorBuffer buffer = bytes.buffer("bytes");
    EmulatorLaunch launch{
        .kernel = "k", .function = text.entry(0), .threads = 32, .buffers = {&buffer, 1}};
    try {
      emulator.launch(launch);
      return 1;
    } catch (const RuntimeError&) {
      return 0;
    }
  });
  EXPECT_EQ(code, 0);
}

} // namespace
} // namespace netc::test
