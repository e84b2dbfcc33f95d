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
