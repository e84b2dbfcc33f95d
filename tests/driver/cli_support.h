#pragma once
// The `netc` command in a folder with small networks, as a user has it.

#include "tests/driver/driver_support.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <regex>

namespace netc::test {

using Keys = std::vector<std::string>;

inline Keys keys_of(const nlohmann::ordered_json& json) {
  Keys keys;
  for (const auto& [key, value] : json.items())
    keys.push_back(key);
  return keys;
}

/// Towers, and channels and classes that devices share evenly.
inline std::string cut_network() {
  return R"(name: cut
input: {channels: 3, height: 16, width: 16, stored: 18, mean: channel, crop: random, flip: true, scale: 0.015625}
layers:
  - {name: conv1, type: conv2d, filters: 16, kernel: 3, pad: 1}
  - {name: relu1, type: relu}
  - {name: norm1, type: lrn, n: 3, k: 2, alpha: 1e-4, beta: 0.75, alpha_over_n: false}
  - {name: pool1, type: max_pool2d, kernel: 3, stride: 2, rounding: ceil}
  - {name: conv2, type: conv2d, filters: 16, kernel: 3, pad: 1, groups: 2}
  - {name: relu2, type: relu}
  - {name: drop2, type: dropout, rate: 0.25, mode: inverted}
  - {name: fc3, type: linear, features: 16}
  - {name: loss, type: softmax_cross_entropy}
train:
  batch: 16
  optimizer: {rate: 0.01, momentum: 0.9, decay: 5e-4}
partition: {devices: 2, strategy: towers}
)";
}

class Cli : public testing::Test {
protected:
  void SetUp() override {
    write("tiny.yaml", tiny_network());
    std::string text = tiny_network();
    write("no-loss.yaml", text.substr(0, text.find("  - {name: loss")));
    size_t at = text.find("features: 10");
    write("few.yaml", text.replace(at, 12, "features: 3"));
    write("empty.yaml", "");
    write("not-an-image.png", "text");
    fs::create_directories(folder_ / "mine");
    write("mine/thesis.txt", "years of work");
  }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
  }
  Outcome run(const std::string& arguments) {
    return run_netc(words_of(arguments), folder_.path());
  }
  /// Runs a command that compiles, with the tests' cache.
  Outcome compiling(const std::string& arguments) {
    return run(arguments + " --cache " + kernel_cache().string());
  }
  nlohmann::ordered_json json_of(const std::string& arguments) {
    Outcome outcome = compiling(arguments + " --json");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return nlohmann::ordered_json::parse(outcome.out); // one object and nothing else
  }
  void train_steps(const std::string& run, int steps) {
    ASSERT_EQ(compiling(fmt::format("train tiny.yaml --data shapes --quiet --steps {} --run {}",
                                    steps, run))
                  .code,
              0);
  }
  /// Command lines with what each answers, as one text that names no processor.
  std::string transcript(const std::vector<std::string>& commands) {
    std::string text;
    for (const std::string& command : commands) {
      Outcome o = run(command);
      std::string err = std::regex_replace(o.err, std::regex("runs on ([a-z0-9:, ]+) \\(.*\\)"),
                                           "runs on $1 (...)");
      text += fmt::format("$ netc {}\n{}{}exit {}\n\n", command, o.out, err, o.code);
    }
    return text;
  }

  TemporaryFolder folder_;
};

} // namespace netc::test
