// `netc calibrate` as a user runs it, as short as can be: what it leaves, not how long things take.

#include "ir/support/files.h"
#include "tests/driver/driver_support.h"
#include "tools/driver/models.h"
#include "tools/partition/strategy_times.h"

#include <gmock/gmock.h>

namespace netc::test {
namespace {

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i)
    all += text;
  return all;
}

class Calibrate : public testing::Test {
protected:
  void SetUp() override { write_text(folder_ / "tiny.yaml", tiny_network()); }

  Outcome calibrate(std::vector<std::string> arguments, const fs::path& cache = kernel_cache()) {
    arguments.insert(arguments.begin(), "calibrate");
    arguments.insert(arguments.end(), {"--cache", cache.string()});
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

  // Once more, after a disturbed measurement: what `data` needs is measured anew, the rest stays.
  Calibration disturbed = *kept;
  for (auto& [busy, times] : disturbed.times)
    for (auto& [key, seconds] : times.seconds)
      seconds = 1e6;
  for (DeviceProfile& device : disturbed.machine.devices)
    device.operators["conv2d"] = 2e-6, device.operators["tanh"] = 0.125;
  disturbed.times[2].seconds["of another network"] = 3;
  save(disturbed, kernel_cache());
  Outcome second = calibrate({"tiny.yaml", "--devices", "cpu:0,cpu:1", "--seconds", "0.01",
                              "--strategy", "data", "--quiet", "--json"});
  EXPECT_EQ(second.code, 0) << second.err;
  EXPECT_EQ(second.err, "");
  EXPECT_THAT(second.out, testing::HasSubstr("\"link_gb_per_second\""));
  const std::optional<Calibration> again = load_calibration(fingerprint, kernel_cache());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->times.at(1), disturbed.times.at(1));
  for (const auto& [key, seconds] : again->times.at(2).seconds)
    if (key == "of another network")
      EXPECT_EQ(seconds, 3);
    else
      EXPECT_LT(seconds, 1e6) << key;
  EXPECT_EQ(again->times.at(2).seconds.size(), disturbed.times.at(2).seconds.size());
  for (const DeviceProfile& device : again->machine.devices) {
    EXPECT_NE(device.operators.at("conv2d"), 2e-6);
    EXPECT_EQ(device.operators.at("tanh"), 0.125);
  }
}

TEST_F(Calibrate, ExactStepsAreThoseOfAnotherMachine) {
  const CalibrateOptions exact{
      .devices = {{.name = "cpu:0"}}, .exact = true, .cache = folder_ / "cache"};
  CalibrateOptions fast = exact;
  fast.exact = false;
  const Outcome outcome = calibrate(
      {"--devices", "cpu:0", "--seconds", "0.01", "--math", "exact", "--quiet"}, folder_ / "cache");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(load_calibration(fingerprint_of(exact), exact.cache));
  EXPECT_FALSE(load_calibration(fingerprint_of(fast), exact.cache));
}

TEST_F(Calibrate, AllMeansEveryStrategyThatSuits) {
  const Outcome outcome = calibrate({"tiny.yaml", "--devices", "cpu:0", "--seconds", "0.01",
                                     "--batch", "2", "--strategy", "data,all"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, testing::HasSubstr("towers: does not suit this network\n"));
  EXPECT_THAT(outcome.err, testing::HasSubstr("single: measured\n"));
  EXPECT_THAT(outcome.err, testing::HasSubstr("pipeline: "));
}

TEST_F(Calibrate, MistakesAreTheUsers) {
  for (const auto& [arguments, message] :
       std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{}, "--devices"},
           {{"--devices", "emu:0,emu:1"}, "`emu` is not measured"},
           {{"--devices", "cpu:0,emu:0"}, "devices of two kinds"},
           {{"--devices", "cpu:0,,cpu:1"}, "has a comma without a name beside it"},
           {{"--devices", "cpu:0" + repeated(",cpu:0", 64)}, "65 devices are too many"},
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
