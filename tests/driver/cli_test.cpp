// The `netc` command as a user meets it: messages, exit codes, the keys of --json.

#include "codegen/nvrtc.h"
#include "tests/driver/cli_support.h"

namespace netc::test {
namespace {

TEST_F(Cli, WrongCommandLines) {
  expect_golden("tests/driver/goldens/command-lines.txt",
                transcript({"",
                            "frobnicate",
                            "trian tiny.yaml",
                            "data",
                            "data inof",
                            "compile",
                            "compile tiny.yaml more",
                            "compile tiny.yaml --bacth 3",
                            "compile tiny.yaml --batch 0",
                            "compile tiny.yaml --batch many",
                            "compile tiny.yaml --batch",
                            "compile tiny.yaml --threads 0",
                            "compile tiny.yaml --math slow",
                            "compile tiny.yaml --memory-limit 1GB",
                            "compile tiny.yaml --target emu --device cpu:0",
                            "bench tiny.yaml --device gpu",
                            "bench tiny.yaml --device gpu:1",
                            "bench tiny.yaml --device cpu",
                            "bench tiny.yaml --device cuda",
                            "bench tiny.yaml --device tpu:0",
                            "bench tiny.yaml --memory-limit lots",
                            "compile tiny.yaml --mode both",
                            "compile tiny.yaml --stop-after-rewrite -1",
                            "train tiny.yaml --steps 0",
                            "train tiny.yaml --epochs -1",
                            "train tiny.yaml --steps 5 --epochs 1",
                            "train tiny.yaml --data shapes --workers -1",
                            "eval tiny.yaml",
                            "predict tiny.yaml",
                            "predict tiny.yaml a.png --topk 0",
                            "bench tiny.yaml --mode both",
                            "bench tiny.yaml --steps 0",
                            "data shapes",
                            "data shapes out --size 4"}));
}

TEST_F(Cli, WrongNetworks) {
  expect_golden(
      "tests/driver/goldens/networks.txt",
      transcript({"compile alexnt", "compile nothere.yaml", "compile mine", "compile empty.yaml",
                  "compile not-an-image.png", "train no-loss.yaml --data shapes",
                  "eval no-loss.yaml --data shapes", "bench no-loss.yaml"}));
}

TEST_F(Cli, WrongPasses) {
  expect_golden("tests/driver/goldens/passes.txt",
                transcript({"compile tiny.yaml --skip autodif", "compile tiny.yaml --skip autodiff",
                            "compile tiny.yaml --stop-after order-nodes",
                            "compile tiny.yaml --print-after fuse-window"}));
}

TEST_F(Cli, WrongData) {
  expect_golden(
      "tests/driver/goldens/data.txt",
      transcript({"train tiny.yaml", "train tiny.yaml --data pictures:/photos",
                  "train tiny.yaml --data imagefolder",
                  "train tiny.yaml --data imagefolder:nowhere", "train tiny.yaml --data mnist:mine",
                  "train tiny.yaml --data cifar10:mine", "train tiny.yaml --data imagefolder:mine",
                  "train tiny.yaml --data imagelist:nothere.tsv", "train few.yaml --data shapes",
                  "data info nothing:", "data stats imagefolder:nowhere"}));
  EXPECT_FALSE(fs::exists(folder_ / "runs")); // No run begins before its data is there.
}

TEST_F(Cli, WrongRunsAndWeights) {
  train_steps("r", 2);
  std::string shapes = " tiny.yaml --data shapes";
  expect_golden(
      "tests/driver/goldens/runs.txt",
      transcript({"train" + shapes + " --resume", "train" + shapes + " --run nowhere --resume",
                  "train" + shapes + " --run r", "train" + shapes + " --run mine", "eval" + shapes,
                  "eval" + shapes + " --weights nowhere", "eval" + shapes + " --weights mine",
                  "eval" + shapes + " --weights tiny.yaml",
                  "eval few.yaml --data shapes --weights r", "eval lenet --data shapes --weights r",
                  "predict tiny.yaml nothere.jpg not-an-image.png --weights r",
                  "predict tiny.yaml not-an-image.png"}));
}

TEST_F(Cli, WrongPlaces) {
  expect_golden("tests/driver/goldens/places.txt",
                transcript({"compile tiny.yaml -o mine", "compile tiny.yaml -o tiny.yaml",
                            "compile tiny.yaml -o /proc/plan",
                            "compile tiny.yaml --cache /proc/cache", "data shapes /proc/shapes"}));
}

TEST_F(Cli, WithoutACompilerTheMachineIsAtFault) {
  const char* path = getenv("PATH");
  std::string before = path ? path : "";
  setenv("PATH", "/nowhere", 1);
  std::string text = transcript({"compile tiny.yaml"});
  setenv("PATH", before.c_str(), 1);
  expect_golden("tests/driver/goldens/no-compiler.txt", text);
}

TEST_F(Cli, DoctorMissesNoDriverWhereThereIsNoGpu) {
  Outcome outcome = run("doctor");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, testing::ContainsRegex("\n(none|MISSING) +GPU  "));
  bool driver = outcome.out.find("NVIDIA driver     not found") == std::string::npos;
  EXPECT_THAT(outcome.out,
              testing::HasSubstr(driver ? "\nok      NVIDIA driver" : "\nnone    GPU"));
}

TEST_F(Cli, TargetsThatTheCompilerDoesNotKnow) {
  if (!NvrtcToolchain().available())
    GTEST_SKIP() << "skipped: no NVRTC";
  Outcome outcome = compiling("compile tiny.yaml --target cuda:sm_91");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err,
              testing::ContainsRegex("error: NVRTC .* compiles nothing for `cuda:sm_91`"
                                     "\nnote: it knows sm_75, .*sm_90, "));
  EXPECT_FALSE(fs::exists(folder_ / "tiny.plan"));
}

TEST_F(Cli, ResourcesOfPtxAreNotKnownYet) {
  if (!NvrtcToolchain().available())
    GTEST_SKIP() << "skipped: no NVRTC";
  const std::string command = "compile tiny.yaml --mode infer --target cuda:compute_90";
  EXPECT_THAT(compiling(command).out,
              testing::HasSubstr("\nregisters and spills are known once a GPU's driver has "));
  const nlohmann::ordered_json entry = json_of(command)["kernel_list"][0]["entries"][0];
  EXPECT_TRUE(entry["registers"].is_null() && entry["spill_bytes"].is_null()) << entry;
}

TEST_F(Cli, PrecisionsThatTheTargetLacksAreTold) {
  std::string text = tiny_network();
  for (const char* place : {"kernel: 3, pad: 1", "features: 10"})
    text.insert(text.find(place), "precision: bf16, ");
  write("asks.yaml", text);
  EXPECT_EQ(compiling("compile asks.yaml").err, // though it has two programs
            "note: fp32 instead of bf16 for `conv1`, `fc2`: the target `cpu` has no precision "
            "bf16\n");
  EXPECT_EQ(compiling("compile asks.yaml --quiet").err, "");
}

TEST_F(Cli, PassesStandInColumns) {
  std::istringstream lines(run("passes").out);
  std::set<size_t> columns;
  for (std::string line; std::getline(lines, line);) {
    const size_t gap = line.find("  ");
    ASSERT_NE(gap, line.npos) << line;
    columns.insert(line.find_first_not_of(' ', gap));
  }
  EXPECT_EQ(columns.size(), 1u);
}

TEST_F(Cli, PlansForAnotherTargetAreCitedWhereTheyAre) {
  ASSERT_EQ(compiling("compile tiny.yaml -o mine.plan").code, 0);
  for (const char* command : {"train mine.plan --data shapes --steps 1", "bench mine.plan"}) {
    const Outcome outcome = run(command + std::string(" --device emu:0"));
    EXPECT_EQ(outcome.code, 1);
    EXPECT_THAT(outcome.err, testing::StartsWith("mine.plan/plan.json:5:3: error: the plan is for "
                                                 "`cpu`, `emu:0` "));
  }
  EXPECT_FALSE(fs::exists(folder_ / "runs"));
}

TEST_F(Cli, AlexNetHasThePapersSize) {
  nlohmann::ordered_json json = json_of("compile alexnet.yaml --batch 32 --threads 2");
  EXPECT_EQ(json["parameters"], 60965224);
  EXPECT_EQ(json["macs_per_image"], 724406816);
  Outcome table = compiling("compile alexnet --batch 32 --threads 2");
  EXPECT_THAT(table.out, testing::ContainsRegex("total +60,965,224 +724,406,816"));
  EXPECT_THAT(table.out, testing::HasSubstr("wrote alexnet.plan/"));
  EXPECT_TRUE(fs::exists(folder_ / "alexnet.plan/plan.json"));
}

TEST_F(Cli, JsonOfCompile) {
  nlohmann::ordered_json json = json_of("compile tiny.yaml");
  EXPECT_EQ(keys_of(json),
            (Keys{"network", "plan", "target", "batch", "parameters", "macs_per_image",
                  "planned_peak_bytes", "peak_lower_bound_bytes", "kernels", "compile_seconds",
                  "cache_hits", "layers", "kernel_list", "devices", "strategy",
                  "planned_peak_bytes_per_device", "libraries_left_out", "precision"}));
  EXPECT_EQ(json["precision"], "fp32");
  EXPECT_EQ(json["planned_peak_bytes_per_device"],
            nlohmann::ordered_json::array({json["planned_peak_bytes"]}));
  EXPECT_EQ(json["target"], "cpu");
  EXPECT_EQ(keys_of(json["layers"][0]), (Keys{"name", "type", "output_shape", "parameters",
                                              "macs_per_image", "activation_bytes"}));
  EXPECT_EQ(json["layers"].size(), 7u);
  EXPECT_EQ(json["layers"][0]["output_shape"], (nlohmann::ordered_json{8, 16, 16}));
}

TEST_F(Cli, JsonOfTrainEvalAndPredict) {
  nlohmann::ordered_json json =
      json_of("train tiny.yaml --data shapes --steps 5 --validate --run r --quiet");
  EXPECT_EQ(keys_of(json), (Keys{"steps", "images_per_second", "peak_bytes", "data_wait_fraction",
                                 "train_loss", "val_top1", "val_top5", "damaged_images", "run",
                                 "devices", "strategy", "precision"}));
  EXPECT_EQ(json["precision"], "fp32");
  EXPECT_EQ(json["steps"], 5);
  EXPECT_EQ(json["run"], "r");
  double top1 = json["val_top1"];
  EXPECT_TRUE(top1 >= 0 && top1 <= 1) << top1;
  json = json_of("eval tiny.yaml --data shapes --weights r");
  EXPECT_EQ(keys_of(json), (Keys{"images", "top1", "top5", "loss", "views"}));
  EXPECT_EQ(json["images"], 1000);
  EXPECT_EQ(json["top1"].get<double>(), top1);
  ASSERT_EQ(run("data shapes pictures --train 10 --validation 10 --size 32").code, 0);
  std::vector<std::string> images;
  for (const auto& [name, bytes] : files_below(folder_ / "pictures"))
    images.push_back("pictures/" + name);
  json = json_of("predict tiny.yaml " + images[0] + " " + images[1] + " --weights r --topk 3");
  ASSERT_EQ(json.size(), 2u);
  EXPECT_EQ(keys_of(json[0]), (Keys{"image", "classes"}));
  EXPECT_EQ(json[1]["image"], images[1]);
  ASSERT_EQ(json[0]["classes"].size(), 3u);
  EXPECT_EQ(keys_of(json[0]["classes"][0]), (Keys{"index", "name", "probability"}));
}

TEST_F(Cli, WhatWasNotMeasuredIsNull) {
  nlohmann::ordered_json json = json_of("train tiny.yaml --data shapes --steps 1 --run r --quiet");
  EXPECT_TRUE(json["val_top1"].is_null());
  EXPECT_TRUE(json["val_top5"].is_null());
  EXPECT_TRUE(json["images_per_second"].is_null());
  EXPECT_FALSE(json["train_loss"].is_null());
}

TEST_F(Cli, JsonOfBench) {
  nlohmann::ordered_json json = json_of("bench tiny.yaml --steps 2");
  for (const char* key :
       {"batch", "mode", "step_ms_median", "images_per_second", "layers", "device_peak_gflops"})
    EXPECT_TRUE(json.contains(key)) << key;
  EXPECT_EQ(json["batch"], 16);
  EXPECT_EQ(json["mode"], "train");
  EXPECT_EQ(keys_of(json["layers"][0]), (Keys{"name", "ms", "device"}));
  EXPECT_EQ(json_of("bench tiny.yaml --steps 2 --mode infer")["mode"], "infer");
}

TEST_F(Cli, ResultsOnStdoutProgressOnStderr) {
  Outcome outcome = compiling("train tiny.yaml --data shapes --steps 3 --validate");
  EXPECT_THAT(outcome.out, testing::StartsWith("trained 3 steps\n"));
  EXPECT_THAT(outcome.err, testing::StartsWith("compiling tiny.yaml ...\n"));
  EXPECT_THAT(outcome.err, testing::Not(testing::HasSubstr("\033["))); // No terminal here.
  Outcome quiet = compiling("train tiny.yaml --data shapes --steps 3 --quiet");
  EXPECT_EQ(quiet.err, "");
}

TEST_F(Cli, StoppedPipelinePrintsTheGraph) {
  Outcome outcome = run("compile tiny.yaml --stop-after autodiff --verify-each --time-passes");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(print(parse_graph(outcome.out)), outcome.out);
  EXPECT_THAT(outcome.err, testing::StartsWith("pass"));
  EXPECT_FALSE(fs::exists(folder_ / "tiny.plan"));
}

TEST_F(Cli, NothingStaysInTheTemporaryFolder) {
  fs::create_directories(folder_ / "tmp");
  setenv("TMPDIR", (folder_ / "tmp").c_str(), 1);
  EXPECT_EQ(compiling("bench tiny.yaml --steps 1").code, 0);
  EXPECT_NE(compiling("bench no-loss.yaml --steps 1").code, 0);
  unsetenv("TMPDIR");
  EXPECT_TRUE(fs::is_empty(folder_ / "tmp"));
}

} // namespace
} // namespace netc::test
