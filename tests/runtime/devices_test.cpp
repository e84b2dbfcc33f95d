// Devices by their names; what is said where there is no GPU; amounts of memory.

#include "ir/support/error.h"
#include "runtime/byte_text.h"
#include "runtime/cuda/cuda.h"
#include "runtime/devices.h"

#include <gmock/gmock.h>

namespace netc {
namespace {

using testing::HasSubstr;

TEST(Devices, CpuAndEmulatorAreAlwaysThere) {
  std::vector<DeviceInfo> list = list_devices();
  ASSERT_GE(list.size(), 2u);
  EXPECT_EQ(list[0].name, "cpu:0");
  EXPECT_THAT(list[0].description, HasSubstr("core"));
  EXPECT_EQ(list[1].name, "emu:0");
  for (const DeviceInfo& info : list) {
    std::unique_ptr<Device> device = open_device({.name = info.name});
    EXPECT_EQ(device->name(), info.name);
    EXPECT_TRUE(device->runs(device->target())) << info.name;
    EXPECT_EQ(device_for(device->target()) == info.name, info.name.ends_with(":0"));
  }
}

TEST(Devices, NamesThatNoDeviceHasAreTheUsersMistake) {
  for (const char* name : {"", "cpu", "cpu:", "cpu:-1", "cpu:0x", "emu:", "gpu:0", "cuda",
                           "cuda:-1", "cuda:99999999999"})
    EXPECT_THROW(open_device({.name = name}), UserError) << name;
}

TEST(Devices, AMissingGpuIsTheMachinesFault) {
  CudaState cuda = cuda_state();
  EXPECT_EQ(cuda.problem.empty(), !cuda.gpus.empty());
  EXPECT_EQ(default_device(), cuda.gpus.empty() ? "cpu:0" : "cuda:0");
  try {
    open_device({.name = "cuda:4096"});
    FAIL() << "no error";
  } catch (const RuntimeError& error) {
    EXPECT_THAT(error.what(), HasSubstr("there is no device `cuda:4096`: "));
    EXPECT_NE(error.hint(), "");
  }
}

TEST(Devices, WhichKernelsRunOnWhichGpus) {
  auto runs = [](const char* target, int capability) {
    return runs_on_gpu(parse_target(target), capability);
  };
  EXPECT_TRUE(runs("cuda:sm_90", 90));
  EXPECT_TRUE(runs("cuda:sm_80", 86)); // a later minor version
  EXPECT_FALSE(runs("cuda:sm_86", 80));
  EXPECT_FALSE(runs("cuda:sm_80", 90)); // another major version
  EXPECT_FALSE(runs("cuda:sm_90", 80));
  EXPECT_TRUE(runs("cuda:sm_90a", 90));
  EXPECT_FALSE(runs("cuda:sm_100a", 103));
  EXPECT_TRUE(runs("cuda:sm_100f", 103)); // of the family
  EXPECT_FALSE(runs("cuda:sm_100f", 120));
  EXPECT_TRUE(runs("cuda:compute_80", 80));
  EXPECT_TRUE(runs("cuda:compute_80", 120));
  EXPECT_FALSE(runs("cuda:compute_90", 89));
  EXPECT_FALSE(runs("cuda:compute_90a", 100));
  EXPECT_FALSE(runs("cpu", 90));
  EXPECT_FALSE(runs("emu", 90));
}

TEST(ByteText, ReadsWhatPeopleWrite) {
  EXPECT_EQ(parse_bytes("6GB"), 6'000'000'000);
  EXPECT_EQ(parse_bytes("6.5 gb"), 6'500'000'000);
  EXPECT_EQ(parse_bytes("512MB"), 512'000'000);
  EXPECT_EQ(parse_bytes("2GiB"), 2147483648);
  EXPECT_EQ(parse_bytes("100"), 100);
  EXPECT_EQ(parse_bytes("1B"), 1);
  for (const char* text : {"", "GB", "0", "-1GB", "6XB", "6GBs", "0.1", "nan", "inf", "1e30TB"})
    EXPECT_EQ(parse_bytes(text), std::nullopt) << text;
  EXPECT_EQ(byte_text(512'000'000), "512.0 MB");
  EXPECT_EQ(byte_text(150'120'000'000), "150.12 GB");
}

} // namespace
} // namespace netc
