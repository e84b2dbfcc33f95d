// `netc calibrate` as a user runs it, as short as can be: what it leaves, not how long things take.

#include "ir/support/files.h"
#include "tests/driver/driver_support.h"
#include "tools/driver/models.h"
#include "tools/partition/strategy_times.h"

#include <gmock/gmock.h>

namespace netc::test {
namespace {

class Calibrate : public testing::Test {
protected:
  void SetUp() override { write_text(folder_ / "tiny.yaml", tiny_network()); }

  Outcome calibrate(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "calibrate");
    arguments.insert(arguments.end(), {"--cache", kernel_cache().string()});
    return run_netc(arguments, folder_.path());
  }

  TemporaryFolder folder_;
};

TEST_F(Calibrate, LeavesAMachineAndTheTimesOfSteps) {
  const CalibrateOptions options{.devices = {{.name = "cpu:0"}, {.name = "cpu:1"}},
                                 .cache = kernel_cache()};
  const std::string fingerprint = fingerprint_of(options);
  fs::remove(calibration_file(fingerprint, kernel_cache()));
  Outcome first = calibrate({"tiny.yaml", "--devices", "cpu:0,cpu:1", "--seconds", "0.01",
                             "--strategy", "single,data", "-o", "mine.yaml"});
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_THAT(first.err, testing::HasSubstr("single: measured\ndata: measured\n"));
  const std::optional<Calibration> kept = load_calibration(fingerprint, kernel_cache());
  ASSERT_TRUE(kept);
  EXPECT_EQ(load_machine((folder_ / "mine.yaml").string()), kept->machine);
  EXPECT_EQ(kept->machine.devices.size(), 2u);
  EXPECT_GT(kept->machine.devices[0].operators.count("conv2d"), 0u);
  // One device was busy under `single`, two were under `data`: each has times of its own.
  ASSERT_EQ(kept->times.size(), 2u);
  EXPECT_FALSE(kept->times.at(1).seconds.empty());
  EXPECT_FALSE(kept->times.at(2).seconds.empty());

  Outcome second = calibrate({"tiny.yaml", "--devices", "cpu:0,cpu:1", "--seconds", "0.01",
                              "--strategy", "data", "--quiet", "--json"});
  EXPECT_EQ(second.code, 0) << second.err;
  EXPECT_EQ(second.err, "");
  EXPECT_EQ(load_calibration(fingerprint, kernel_cache())->times, kept->times); // all was known
  EXPECT_THAT(second.out, testing::HasSubstr("\"link_gb_per_second\""));
}

TEST_F(Calibrate, MistakesAreTheUsers) {
  for (const auto& [arguments, message] :
       std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{}, "--devices"},
           {{"--devices", "emu:0,emu:1"}, "`emu` is not measured"},
           {{"--devices", "cpu:0,emu:0"}, "devices of two kinds"},
           {{"--devices", "cpu:0,cpu:1", "--seconds", "0"}, "no positive number"},
           {{"--devices", "cpu:0,cpu:1", "--strategy", "data"}, "NET"},
           {{"tiny.yaml", "--devices", "cpu:0,cpu:1", "--strategy", "nonsense"},
            "no strategy `nonsense`"}}) {
    Outcome outcome = calibrate(arguments);
    EXPECT_EQ(outcome.code, 1) << message;
    EXPECT_THAT(outcome.err, testing::HasSubstr(message));
  }
}

} // namespace
} // namespace netc::test
