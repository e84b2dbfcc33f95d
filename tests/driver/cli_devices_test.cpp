// `--devices` and `--partition` as a user meets them: the same bits however the step is cut, runs
// that go on under another cut, messages.

#include "runtime/train/checkpoint.h"
#include "tests/driver/cli_support.h"
#include "tools/driver/models.h"

namespace netc::test {
namespace {

using testing::HasSubstr;

class CliDevices : public Cli {
protected:
  void SetUp() override {
    Cli::SetUp();
    write("cut.yaml", cut_network());
    write("fc.yaml", "devices: 2\nstrategy: data\nlayers: {fc3: filter, loss: filter}\n");
  }
  /// Trains, and returns the bytes of the last checkpoint.
  std::string train(const std::string& run, const std::string& flags) {
    Outcome outcome = compiling("train cut.yaml --quiet --run " + run + " " + flags);
    EXPECT_EQ(outcome.code, 0) << flags << "\n" << outcome.err;
    const std::vector<CheckpointFile> saved = list_checkpoints(folder_ / run);
    return saved.empty() ? "" : read_text(saved.back().path);
  }
  std::string config(const std::string& run) { return read_text(folder_ / run / "config.json"); }
  /// Makes the configuration of a run one that netc wrote before it knew several devices.
  void make_old(const std::string& run) {
    nlohmann::ordered_json json = nlohmann::ordered_json::parse(config(run));
    json["device"] = json["devices"];
    json.erase("devices");
    json.erase("partition");
    write(run + "/config.json", json.dump());
  }
};

constexpr const char* two = " --devices cpu:0,cpu:1";
constexpr const char* four = " --devices cpu:0,cpu:1,cpu:2,cpu:3";

TEST_F(CliDevices, DevicesDoNotShowInExactMath) {
  const std::string flags = "--data shapes --math exact --steps 4";
  const std::string whole = train("whole", flags);
  ASSERT_NE(whole, "");
  int runs = 0;
  for (const std::string cut :
       {" --devices cpu:0", two, " --devices cpu:0,cpu:1 --partition data",
        " --devices cpu:0,cpu:1 --partition filter", " --devices cpu:0,cpu:1 --partition fc.yaml",
        four, " --devices cpu:0,cpu:1,cpu:2,cpu:3 --partition filter"})
    EXPECT_TRUE(train(fmt::format("r{}", runs++), flags + cut) == whole) << cut;
  EXPECT_THAT(config("r1"), HasSubstr("\"partition\": \"towers\"")); // as the network says
  EXPECT_THAT(config("r5"), HasSubstr("\"partition\": \"data\""));
  EXPECT_THAT(read_text(folder_ / "r3/strategy.yaml"), HasSubstr("\n  conv1: filter\n"));
  EXPECT_FALSE(fs::exists(folder_ / "r0/strategy.yaml"));
}

TEST_F(CliDevices, RunsGoOnUnderAnyCut) {
  const std::string whole = train("whole", "--data shapes --math exact --steps 14");
  train("r", "--data shapes --math exact --steps 3");
  make_old("r");
  train("r", "--resume --steps 4");
  train("r", std::string("--resume --steps 6 --partition fc.yaml") + two);
  fs::remove(folder_ / "fc.yaml"); // the run keeps it
  const fs::file_time_type compiled = fs::last_write_time(folder_ / "r/plan/plan.json");
  train("r", "--resume --steps 8");
  EXPECT_EQ(fs::last_write_time(folder_ / "r/plan/plan.json"), compiled);
  EXPECT_THAT(config("r"), HasSubstr("\"partition\": \"fc\""));
  Outcome outcome = compiling(
      std::string("train cut.yaml --run r --resume --steps 10 --partition filter") + four);
  EXPECT_THAT(outcome.err,
              HasSubstr("note: the run went on 2 devices, cut by `fc`; from here on it "
                        "goes on 4 devices, cut by `filter`\nnote: results are the "
                        "same bits where cuts fall on block borders\n"));
  fs::rename(folder_ / "r/plan", folder_ / "r/plan.former"); // killed while plans changed places
  train("r", "--resume --steps 12");
  EXPECT_TRUE(train("r", "--resume --steps 14 --devices cpu:0") == whole);
  EXPECT_FALSE(fs::exists(folder_ / "r/strategy.yaml"));
  EXPECT_FALSE(fs::exists(folder_ / "r/plan.next") || fs::exists(folder_ / "r/plan.former"));
}

TEST_F(CliDevices, ARefusedCutLeavesTheRunAsItWas) {
  train("r", "--data shapes --steps 3");
  const std::map<std::string, std::string> before = files_below(folder_ / "r");
  for (const std::string flags : {" --devices emu:0,emu:1", " --devices cpu:0,cpu:1 --batch 8",
                                  " --devices cpu:0,cpu:1 --memory-limit 10KB",
                                  " --devices cpu:0,cpu:1,cpu:2 --partition towers"})
    EXPECT_NE(compiling("train cut.yaml --run r --resume --steps 6" + flags).code, 0) << flags;
  EXPECT_TRUE(files_below(folder_ / "r") == before);
}

TEST_F(CliDevices, PlansForSeveralDevices) {
  nlohmann::ordered_json json = json_of(std::string("compile cut.yaml -o p --quiet") + two);
  EXPECT_EQ(json["devices"], 2);
  EXPECT_EQ(json["strategy"], "towers");
  ASSERT_EQ(json["planned_peak_bytes_per_device"].size(), 2u);
  EXPECT_EQ(json["planned_peak_bytes_per_device"][0], json["planned_peak_bytes"]);
  json = json_of("train p --data shapes --steps 2 --validate --run r --quiet");
  EXPECT_EQ(json["devices"], (nlohmann::ordered_json{"cpu:0", "cpu:1"}));
  EXPECT_EQ(json["strategy"], "towers");
  const double top1 = json["val_top1"];
  EXPECT_EQ(json_of("eval p --data shapes --weights r --quiet")["top1"].get<double>(), top1);
  EXPECT_EQ(json_of("eval cut.yaml --data shapes --weights r")["top1"].get<double>(), top1);
  ASSERT_EQ(run("data shapes pictures --train 10 --validation 10 --size 32").code, 0);
  const std::string image = "pictures/" + files_below(folder_ / "pictures").begin()->first;
  json = json_of("predict cut.yaml " + image + " --weights r" + two);
  EXPECT_EQ(json[0]["classes"][0]["index"],
            json_of("predict cut.yaml " + image + " --weights r")[0]["classes"][0]["index"]);
  json = json_of("bench p --steps 1 --devices cpu:2,cpu:3");
  EXPECT_EQ(json["devices"], (nlohmann::ordered_json{"cpu:2", "cpu:3"}));
  EXPECT_EQ(json["layers"].back()["device"], 1);
  Outcome outcome = compiling("train p --resume --run r --steps 3 --devices cpu:0");
  EXPECT_THAT(outcome.err, HasSubstr("error: the plan `p` is for 2 devices, not for 1\n"));
}

TEST_F(CliDevices, TrainsOnTheEmulator) {
  train("r", "--data shapes --steps 1 --batch 4 --devices emu:0,emu:1");
  EXPECT_THAT(config("r"), HasSubstr("\"devices\": \"emu:0,emu:1\""));
  EXPECT_THAT(
      compiling("train cut.yaml --data shapes --devices emu:0,emu:1 --partition auto").err,
      HasSubstr("error: `emu` is not measured: how long it takes says nothing of a GPU\nnote: a "
                "strategy other than `auto` needs no measurement; "));
}

TEST_F(CliDevices, ARunStaysWithTheGpuThatItsPlanIsFor) {
  ASSERT_EQ(compiling("compile cut.yaml --target emu:sm_80 --batch 4 -o p --quiet").code, 0);
  ASSERT_EQ(compiling("train p --data shapes --steps 1 --run r --quiet").code, 0);
  train("r", "--resume --steps 2 --devices emu:0,emu:1"); // cut anew
  EXPECT_THAT(read_text(folder_ / "r/plan/plan.json"), HasSubstr("\"target\": \"emu:sm_80\""));
}

TEST_F(CliDevices, NamedStrategiesFollowTheBatch) {
  train("r", std::string("--data shapes --steps 2 --batch 6 --partition pipeline") + two);
  EXPECT_THAT(read_text(folder_ / "r/strategy.yaml"), HasSubstr("micro_batches: 2"));
  train("r", "--resume --steps 3 --partition pipeline-1f1b"); // of the batch the run began with
  EXPECT_THAT(read_text(folder_ / "r/strategy.yaml"), HasSubstr("micro_batches: 2"));
}

TEST_F(CliDevices, MemoryIsLimitedByDevice) {
  Outcome outcome =
      compiling(std::string("bench cut.yaml --memory-limit 100KB --partition data") + two);
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.err, testing::ContainsRegex(
                               "error: the plan of `cut` .* on `cpu:0`, which may use 0.1 MB"
                               ".*\nnote: the devices need .* MB on `cpu:0`, .* MB on "
                               "`cpu:1`; another strategy \\(`--partition`\\) may need less"));
}

TEST_F(CliDevices, Messages) {
  write("typo.yaml", std::regex_replace(cut_network(), std::regex("towers"), "twoers"));
  write("three.yaml", "devices: 3\nstrategy: filter\n");
  write("bounds.yaml",
        "devices: 2\nlayers: {conv9: filter, fc3: {cut: filter, bounds: [0, 17]}}\n");
  std::string many = "cpu:0";
  for (int i = 1; i < 65; ++i)
    many += fmt::format(",cpu:{}", i);
  ASSERT_EQ(compiling(std::string("compile tiny.yaml -o p --partition data") + two).code, 0);
  std::vector<std::string> commands = {
      "bench typo.yaml",
      "bench p --devices cpu:0",
      "bench p --device cpu:0",
      "bench p --partition filter",
      "bench p --devices emu:0,emu:1",
      "compile tiny.yaml --target emu --devices cpu:0,cpu:1",
      "compile cut.yaml --stop-after partition --devices cpu:0,cpu:1 --logical-device 2",
      "viz tiny.yaml --logical-device 1",
      "viz tiny.yaml --devices cpu:0,cpu:1 --partition data --logical-device 1 -o one.dot",
      "train tiny.yaml --data shapes --partition data"};
  for (const char* flags :
       {"--device cpu:0 --devices cpu:0,cpu:1", "--device cpu:0,cpu:1", "--devices cpu:0,",
        "--devices cpu:0,tpu:1", "--devices cpu:0,emu:0", "--devices cpu:0 cpu:1",
        "--devices cpu:0 --partition data", "--devices cpu:0,cpu:1 --partition datta",
        "--devices cpu:0,cpu:1 --partition nothere.yaml",
        "--devices cpu:0,cpu:1 --partition three.yaml",
        "--devices cpu:0,cpu:1 --partition bounds.yaml",
        "--devices cpu:0,cpu:1,cpu:2 --partition towers", "--devices cpu:0,cpu:1,cpu:2 --batch 2"})
    commands.push_back(std::string("bench cut.yaml ") + flags);
  expect_golden("tests/driver/goldens/devices.txt", transcript(commands));
  EXPECT_THAT(run("bench tiny.yaml --devices " + many).err,
              HasSubstr("error: 65 devices are too many\n"));
  EXPECT_THAT(compiling("bench tiny.yaml --steps 1 --devices cpu:0,cpu:0").err,
              HasSubstr("\nnote: 2 logical devices share `cpu:0`\n"));
}

using CliDevicesSlow = CliDevices;

TEST_F(CliDevicesSlow, BundledModelsTrainOnTwo) {
  for (const std::string& model : bundled_models()) {
    Outcome outcome = compiling("train " + model + " --data shapes --batch 4 --steps 2 --run " +
                                model + ".run" + two);
    EXPECT_EQ(outcome.code, 0) << model << "\n" << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr("trained 2 steps")) << model;
  }
}

} // namespace
} // namespace netc::test
