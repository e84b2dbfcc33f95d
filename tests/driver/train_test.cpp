// `netc train` as a process: killed at any moment and resumed it ends with the same bytes as the
// run that was never killed.

#include "runtime/train/checkpoint.h"
#include "tests/driver/driver_support.h"

#include <gmock/gmock.h>
#include <sys/resource.h>

#include <chrono>
#include <random>
#include <thread>

namespace netc::test {
namespace {

using testing::HasSubstr;

class Train : public testing::Test {
protected:
  void SetUp() override { std::ofstream(folder_ / "tiny.yaml") << tiny_network(); }

  std::vector<std::string> train(const std::string& rest) const {
    std::vector<std::string> words = {"train", "tiny.yaml", "--cache", kernel_cache().string()};
    for (const std::string& word : words_of(rest))
      words.push_back(word);
    return words;
  }
  Outcome run(const std::string& rest) { return run_netc(train(rest), folder_.path()); }
  pid_t start(const std::string& rest) { return start_netc(train(rest), folder_.path()); }
  fs::path path(const std::string& name) const { return folder_ / name; }
  std::string newest_checkpoint(const std::string& run) const {
    return list_checkpoints(path(run)).back().path.filename().string();
  }

  /// Metrics without the timing.
  std::string metrics(const std::string& run) const {
    std::string text;
    for (const std::string& line : split_lines(read_text(path(run) / "metrics.csv"))) {
      std::vector<std::string> cells;
      std::istringstream in(line);
      for (std::string cell; std::getline(in, cell, ',');)
        cells.push_back(cell);
      if (cells.size() > 5)
        cells[5] = "";
      for (const std::string& cell : cells)
        text += cell + ",";
      text += "\n";
    }
    return text;
  }

  /// Files and bytes of two runs agree but for the timings.
  void expect_same_run(const std::string& a, const std::string& b) const {
    std::set<std::string> names[2];
    for (int i = 0; i < 2; ++i)
      for (const auto& entry : fs::directory_iterator(path(i ? b : a)))
        names[i].insert(entry.path().filename().string());
    EXPECT_EQ(names[0], names[1]);
    std::string last = newest_checkpoint(a);
    EXPECT_EQ(newest_checkpoint(b), last);
    EXPECT_TRUE(read_text(path(a) / last) == read_text(path(b) / last)) << last;
    EXPECT_EQ(metrics(a), metrics(b));
  }

  /// Interrupts a run at random moments by a signal and resumes it until it is done; returns how
  /// many times it was stopped.
  int run_with_interruptions(const std::string& first, const std::string& run, int signal,
                             unsigned seed, int longest_ms);

  TemporaryFolder folder_;
};

int Train::run_with_interruptions(const std::string& first, const std::string& run, int signal,
                                  unsigned seed, int longest_ms) {
  std::mt19937 random(seed);
  for (int stops = 0;; ++stops) {
    bool begun = fs::exists(path(run) / "config.json");
    pid_t child = start(begun ? "--resume --run " + run : first + " --run " + run);
    if (stops < 25) {
      int wait = static_cast<int>(random() % static_cast<unsigned>(longest_ms));
      std::this_thread::sleep_for(std::chrono::milliseconds(wait));
      kill(child, signal);
    }
    Outcome outcome = finish_netc(child, folder_.path());
    if (outcome.code == 0)
      return stops;
    if (!begun && !fs::exists(path(run) / "config.json"))
      fs::remove_all(path(run)); // Stopped before anything of the run was there.
    bool stopped = outcome.code == -signal || outcome.code == 128 + signal;
    EXPECT_TRUE(stopped) << outcome.code << "\n" << outcome.out << outcome.err;
    if (!stopped)
      return -1;
  }
}

TEST_F(Train, KilledAtAnyMomentItEndsTheSame) {
  const std::string flags = "--data shapes --steps 1500 --checkpoint-every 5 --quiet";
  ASSERT_EQ(run(flags + " --run whole").code, 0);
  int kills = run_with_interruptions(flags, "killed", SIGKILL, 1, 300);
  fmt::print("killed {} times\n", kills);
  EXPECT_GE(kills, 3);
  expect_same_run("whole", "killed");
}

TEST_F(Train, KilledWhileCheckpointsAreWrittenItEndsTheSame) {
  const std::string flags = "--data shapes --steps 500 --checkpoint-every 1 --quiet";
  ASSERT_EQ(run(flags + " --run whole").code, 0);
  int kills = run_with_interruptions(flags, "killed", SIGKILL, 2, 250);
  fmt::print("killed {} times\n", kills);
  EXPECT_GE(kills, 3);
  expect_same_run("whole", "killed");
}

TEST_F(Train, StoppedByCtrlCItEndsTheSame) {
  // Several epochs, so that signals fall into validations and a plateau schedule has a state.
  const std::string flags = "--data shapes --epochs 6 --checkpoint-every 40 --quiet";
  ASSERT_EQ(run(flags + " --run whole").code, 0);
  int stops = run_with_interruptions(flags, "stopped", SIGINT, 3, 250);
  fmt::print("stopped {} times\n", stops);
  EXPECT_GE(stops, 2);
  expect_same_run("whole", "stopped");
}

TEST_F(Train, CtrlCWritesACheckpointAndTellsHowToContinue) {
  pid_t child = start("--data shapes --steps 10000000 --run r --seed 3");
  while (!fs::exists(path("r") / "metrics.csv") ||
         read_text(path("r") / "metrics.csv").size() < 200)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  kill(child, SIGINT);
  Outcome outcome = finish_netc(child, folder_.path());
  EXPECT_EQ(outcome.code, 130) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("stopping after this step"));
  EXPECT_THAT(outcome.out, HasSubstr("; continue with: netc train tiny.yaml --run r --resume\n"));
  int64_t step = list_checkpoints(path("r")).back().step;
  EXPECT_THAT(outcome.out, HasSubstr(fmt::format("stopped at step {};", step)));
  std::string more = fmt::format(" --steps {}", step + 7);
  Outcome resumed = run("--run r --resume" + more);
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr(fmt::format("continues from step {}", step)));
  ASSERT_EQ(run("--data shapes --seed 3 --run whole --quiet" + more).code, 0);
  std::string last = newest_checkpoint("whole");
  EXPECT_TRUE(read_text(path("whole") / last) == read_text(path("r") / last));
}

TEST_F(Train, WorkersDoNotShow) {
  const std::string flags = "--data shapes --steps 40 --quiet --run w";
  for (int workers : {1, 3})
    ASSERT_EQ(run(fmt::format("{}{} --workers {}", flags, workers, workers)).code, 0);
  expect_same_run("w1", "w3");
}

TEST_F(Train, ThreadsDoNotShowInExactMath) {
  const std::string flags = "--data shapes --steps 40 --quiet --math exact --run t";
  for (int threads : {1, 2})
    ASSERT_EQ(run(fmt::format("{}{} --threads {}", flags, threads, threads)).code, 0);
  expect_same_run("t1", "t2");
}

TEST_F(Train, SeedsShow) {
  for (int seed : {1, 2})
    ASSERT_EQ(run(fmt::format("--data shapes --steps 3 --quiet --run s{0} --seed {0}", seed)).code,
              0);
  std::string last = newest_checkpoint("s1");
  EXPECT_FALSE(read_text(path("s1") / last) == read_text(path("s2") / last));
}

TEST_F(Train, ResumeKeepsToWhatTheRunBeganWith) {
  ASSERT_EQ(run("--data shapes --steps 6 --quiet --run r --seed 4").code, 0);
  auto refused = [&](const std::string& flags, const std::string& message) {
    Outcome outcome = run("--resume --run r " + flags);
    EXPECT_EQ(outcome.code, 1) << flags;
    EXPECT_THAT(outcome.err, HasSubstr(message)) << flags;
  };
  refused("--seed 5", "error: `r` was started with `--seed 4`, not 5");
  refused("--math exact", "error: `r` was started with `--math fast`, not exact");
  refused("--batch 8", "error: `r` was started with batch 16, not 8");
  refused("--threads 64", "threads, not 64");
  refused("--precision bf16", "error: `r` was started with `--precision fp32`, not bf16");
  EXPECT_EQ(run("--resume --run r --seed 4 --batch 16 --quiet").code, 0);
  std::ofstream(path("tiny.yaml"), std::ios::app) << "# another text\n";
  refused("", "error: `r` was started with another text of `tiny.yaml`");
}

TEST_F(Train, RefusedResumesLeaveTheRunAsItWas) {
  ASSERT_EQ(run("--data shapes --steps 6 --quiet --run r --memory-limit 1GB").code, 0);
  std::map<std::string, std::string> before = files_below(path("r"));
  Outcome other = run("--resume --run r --steps 9 --device emu:0");
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.err, HasSubstr("error: this run computes on `cpu`, which `emu:0` does not run\n"
                                   "note: resume with `--device cpu:0`, or start a new run"));
  EXPECT_EQ(run("--resume --run r --steps 9 --precision tf32").code, 1);
  EXPECT_EQ(run("--resume --run r --steps 9 --memory-limit 10KB").code, 3);
  EXPECT_TRUE(files_below(path("r")) == before);
  EXPECT_THAT(before.at("config.json"), HasSubstr("\"memory_limit\": \"1GB\""));
  EXPECT_THAT(run("--resume --run r --steps 9").out, HasSubstr("trained 9 steps"));
}

TEST_F(Train, RefusedRunsLeaveNoFolder) {
  for (const std::string run_flag : {"", " --run r"}) {
    EXPECT_EQ(run("--data shapes --steps 2 --precision bf16 --device cpu:0" + run_flag).code, 1);
    EXPECT_EQ(run("--data shapes --steps 2 --memory-limit 10KB" + run_flag).code, 3);
  }
  EXPECT_FALSE(fs::exists(path("runs/tiny-1")));
  EXPECT_FALSE(fs::exists(path("r")));
}

TEST_F(Train, AFaultTellsThatTheCheckpointStands) {
  ASSERT_EQ(run("--data shapes --steps 1 --batch 2 --device emu:0 --quiet --run r").code, 0);
  const fs::path program = path("r/plan/train.program.txt");
  std::string text;
  for (const std::string& line : split_lines(read_text(program)))
    if (line.find(": input_image") == std::string::npos)
      text += line + "\n";
  std::ofstream(program) << text;
  Outcome outcome = run("--resume --run r --steps 2");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("uninitialised: "));
  EXPECT_THAT(outcome.err, HasSubstr("\nnote: the checkpoint of step 1 stands\n"));
}

TEST_F(Train, AFailureOfTheMachineTellsHowToGoOn) {
  ASSERT_EQ(run("--data shapes --steps 1 --batch 2 --quiet --run r").code, 0);
  rlimit unlimited{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
  rlimit small = unlimited; // too small for the next checkpoint
  small.rlim_cur = fs::file_size(path("r/step-00000001.safetensors")) - 1;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  Outcome outcome = run("--resume --run r --steps 2");
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.err, HasSubstr("step-00000002.safetensors"));
  EXPECT_THAT(outcome.err, HasSubstr("(`ulimit -f`)"));
  EXPECT_THAT(outcome.err, HasSubstr("the checkpoint of step 1 stands; continue with: netc train"));
  EXPECT_EQ(newest_checkpoint("r"), "step-00000001.safetensors");
}

TEST_F(Train, APlanKeepsItsPrecision) {
  ASSERT_EQ(run_netc({"compile", "tiny.yaml", "--cache", kernel_cache().string(), "-o", "p",
                      "--target", "cpu"},
                     folder_.path())
                .code,
            0);
  for (const std::string command : {"train p --data shapes --steps 1", "bench p --steps 1"}) {
    Outcome outcome = run_netc(words_of(command + " --precision bf16"), folder_.path());
    EXPECT_EQ(outcome.code, 1) << command;
    EXPECT_THAT(outcome.err, HasSubstr("`p` was compiled with `--precision fp32`, not bf16"));
    EXPECT_EQ(run_netc(words_of(command + " --precision fp32"), folder_.path()).code, 0) << command;
  }
}

TEST_F(Train, RunFolderHoldsWhatARunNeeds) {
  Outcome outcome = run("--data shapes --epochs 1");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* name : {"config.json", "network.yaml", "metrics.csv", "curves.svg",
                           "plan/plan.json", "step-00000313.safetensors"})
    EXPECT_TRUE(fs::exists(path("runs/tiny-1") / name)) << name;
  EXPECT_EQ(read_text(path("runs/tiny-1/network.yaml")), tiny_network());
  EXPECT_THAT(outcome.out, HasSubstr("run folder: runs/tiny-1/"));
  EXPECT_THAT(outcome.err, HasSubstr("validation loss"));
  Outcome again = run("--data shapes --steps 1 --quiet");
  EXPECT_TRUE(fs::exists(path("runs/tiny-2"))) << again.err;
  Outcome resumed = run("--resume"); // the latest run
  EXPECT_THAT(resumed.out, HasSubstr("run folder: runs/tiny-2/"));
}

} // namespace
} // namespace netc::test
