// `netc partition` as a user meets it: the report and what lies beside it, the search's strategy as
// a file, messages.

#include "tests/driver/cli_support.h"

namespace netc::test {
namespace {

using testing::HasSubstr;

/// Towers, and channels and classes that two devices share evenly.
std::string cut_network() {
  return R"(name: cut
input: {channels: 3, height: 16, width: 16, stored: 18, mean: channel, crop: random, flip: true, scale: 0.015625}
layers:
  - {name: conv1, type: conv2d, filters: 16, kernel: 3, pad: 1}
  - {name: relu1, type: relu}
  - {name: pool1, type: max_pool2d, kernel: 3, stride: 2, rounding: ceil}
  - {name: conv2, type: conv2d, filters: 16, kernel: 3, pad: 1, groups: 2}
  - {name: relu2, type: relu}
  - {name: fc3, type: linear, features: 16}
  - {name: loss, type: softmax_cross_entropy}
train:
  batch: 16
  optimizer: {rate: 0.01, momentum: 0.9, decay: 5e-4}
)";
}

class CliPartition : public Cli {
protected:
  void SetUp() override {
    Cli::SetUp();
    write("cut.yaml", cut_network());
  }
  static const nlohmann::ordered_json& strategy(const nlohmann::ordered_json& report,
                                                const std::string& name) {
    for (const auto& row : report.at("strategies"))
      if (row.at("name") == name)
        return row;
    throw std::runtime_error("no strategy " + name);
  }
};

constexpr const char* predict = "partition cut.yaml --devices cpu:0,cpu:1 --machine k20 "
                                "--no-measure --quiet";

TEST_F(CliPartition, PredictsEveryStrategyWithoutRunningAny) {
  nlohmann::ordered_json report = json_of(predict);
  double best = strategy(report, "auto").at("predicted_ms");
  for (const auto& row : report.at("strategies")) {
    SCOPED_TRACE(row.at("name").get<std::string>());
    EXPECT_GT(row.at("predicted_ms").get<double>(), 0);
    EXPECT_GT(row.at("simulated_ms").get<double>(), 0);
    EXPECT_TRUE(row.at("measured_ms").is_null());
    EXPECT_EQ(row.at("peak_bytes_per_device").size(), 2u);
    best = std::min(best, row.at("predicted_ms").get<double>());
  }
  EXPECT_EQ(strategy(report, "single").at("bytes_sent_per_device"),
            nlohmann::ordered_json::parse("[0, 0]"));
  EXPECT_GT(strategy(report, "data").at("bytes_sent_per_device")[0].get<int64_t>(),
            strategy(report, "towers").at("bytes_sent_per_device")[0].get<int64_t>());
  EXPECT_LE(strategy(report, "auto").at("predicted_ms").get<double>(), 1.1 * best);
}

TEST_F(CliPartition, MeasuresAndFindsTheSameWeights) {
  nlohmann::ordered_json report =
      json_of("partition cut.yaml --devices cpu:0,cpu:1 --machine k20 --no-sweeps --quiet "
              "--math exact --rounds 1 --strategy data,towers");
  ASSERT_EQ(report.at("strategies").size(), 3u); // and `single`, to compare with
  for (const auto& row : report.at("strategies")) {
    EXPECT_GT(row.at("measured_ms").get<double>(), 0);
    EXPECT_EQ(row.at("max_weight_difference").get<double>(), 0) << row.at("name");
  }
}

TEST_F(CliPartition, WritesAReportAndTheSearchsStrategyWhichReadsBack) {
  Outcome outcome = compiling(std::string(predict) + " --no-sweeps -o report.html");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(read_text(folder_ / "report.html"), HasSubstr("</html>"));
  EXPECT_FALSE(nlohmann::json::parse(read_text(folder_ / "report.json")).empty());
  nlohmann::ordered_json both =
      json_of(std::string(predict) + " --no-sweeps --strategy auto,report.auto.yaml");
  EXPECT_EQ(strategy(both, "auto").at("bytes_sent_per_device"),
            strategy(both, "report.auto.yaml").at("bytes_sent_per_device"));
  EXPECT_EQ(compiling("train cut.yaml --data shapes --quiet --steps 2 --devices cpu:0,cpu:1 "
                      "--partition report.auto.yaml")
                .code,
            0);
}

TEST_F(CliPartition, Messages) {
  auto error = [&](const std::string& command) {
    Outcome outcome = run(command);
    EXPECT_EQ(outcome.code, 1) << command;
    return outcome.err;
  };
  EXPECT_THAT(error("partition cut.yaml --devices cpu:0 --no-measure"),
              HasSubstr("a step is cut over several devices, and there is one"));
  EXPECT_THAT(error("partition cut.yaml --devices cpu:0,emu:0 --no-measure"),
              HasSubstr("`cpu:0` and `emu:0` are devices of different kinds"));
  EXPECT_THAT(error("partition cut.yaml --devices cpu:0,cpx:1 --no-measure"),
              HasSubstr("there is no device `cpx:1`"));
  EXPECT_THAT(error("partition cut.yaml --devices cpu:0,cpu:1 --machine k21 --no-measure"),
              HasSubstr("did you mean `k20`?"));
  EXPECT_THAT(error(std::string(predict) + " --strategy owtt"), HasSubstr("did you mean `owt`?"));
  EXPECT_THAT(error(std::string(predict) + " --link 6GBs"), HasSubstr("`GBs` is no unit"));
  Outcome tight = run(std::string(predict) + " --no-sweeps --strategy auto --memory-limit 1kB");
  EXPECT_THAT(tight.out, HasSubstr("no way to cut `cut` over 2 devices keeps within 0.0 MB"));
}

} // namespace
} // namespace netc::test
