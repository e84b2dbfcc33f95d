// What targets are called and what they have.

#include "ir/target.h"

#include "ir/support/error.h"

#include <gtest/gtest.h>

namespace netc::test {
namespace {

TEST(Target, SharedMemoryIsThatOfTheTable) {
  const std::pair<const char*, int> kilobytes[] = {
      {"cpu", 0},           {"emu", 227},         {"cuda:sm_75", 64},   {"cuda:sm_80", 163},
      {"cuda:sm_86", 99},   {"cuda:sm_87", 163},  {"cuda:sm_88", 99},   {"cuda:sm_89", 99},
      {"cuda:sm_90", 227},  {"cuda:sm_90a", 227}, {"cuda:sm_100", 227}, {"cuda:sm_103", 227},
      {"cuda:sm_110", 227}, {"cuda:sm_120", 99},  {"cuda:sm_121", 99},  {"emu:sm_75", 64},
      {"emu:sm_120", 99}};
  for (auto [name, want] : kilobytes)
    EXPECT_EQ(parse_target(name).shared_bytes(), want << 10) << name;
}

TEST(Target, PtxAndUnknownGpusGetTheLeast) {
  EXPECT_EQ(parse_target("cuda:compute_75").shared_bytes(), 64 << 10);
  for (const char* name : {"cuda:compute_80", "cuda:compute_90", "cuda:compute_100",
                           "cuda:compute_120", "cuda:sm_130"})
    EXPECT_EQ(parse_target(name).shared_bytes(), 99 << 10) << name;
}

TEST(Target, TextsAreReadBack) {
  for (const char* name : {"cpu", "emu", "emu:sm_80", "cuda:sm_90a", "cuda:compute_80"})
    EXPECT_EQ(parse_target(name).str(), name);
  EXPECT_EQ(parse_target("emu:sm_90a").str(), "emu");
  for (const char* name :
       {"gpu", "cuda:sm_70", "cuda:90", "cuda:sm_", "cuda:sm_9x", "", "cuda", "emu:", "emu:0",
        "emu:compute_80", "emu:sm_999", "emu:sm_80a", "cpu:sm_80"})
    EXPECT_THROW(parse_target(name), UserError) << name;
}

TEST(Target, TheEmulatorStandsForAnyGpu) {
  const Target hopper = parse_target("emu"), ampere = parse_target("emu:sm_80"),
               turing = parse_target("emu:sm_75");
  EXPECT_TRUE(hopper.has_warpgroups());
  EXPECT_FALSE(ampere.has_warpgroups());
  EXPECT_TRUE(supports(ampere, Precision::bf16));
  EXPECT_FALSE(supports(turing, Precision::tf32));
  EXPECT_EQ(default_precision(turing), Precision::fp32);
}

} // namespace
} // namespace netc::test
