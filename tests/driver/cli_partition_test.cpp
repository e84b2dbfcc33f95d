// `netc partition` as a user meets it: the report and what lies beside it, the search's strategy as
// a file, messages.

#include "tests/driver/cli_support.h"

namespace netc::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class CliPartition : public Cli {
protected:
  void SetUp() override {
    Cli::SetUp();
    write("cut.yaml", replaced(cut_network(), "  - .name: norm1.*\n", "")); // towers stay apart
    write("norm.yaml", cut_network());
  }
  static std::string replaced(const std::string& text, const char* what, const char* by) {
    return std::regex_replace(text, std::regex(what), by);
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
  EXPECT_THAT(tight.out, HasSubstr("no way to cut `cut` over 2 devices that was tried fits into "
                                   "their memory"));
  EXPECT_THAT(tight.out, HasSubstr("which may use 0.001 MB; a smaller batch"));
  EXPECT_EQ(tight.code, 1);
  EXPECT_THAT(tight.err, HasSubstr("no strategy is possible"));
  EXPECT_THAT(error(std::string(predict) + " --strategy all,none.yaml"),
              HasSubstr("cannot read the strategy file `none.yaml`"));
  EXPECT_THAT(error(std::string(predict) + " -o nowhere/report.html"),
              HasSubstr("there is no folder `nowhere` for the report"));
  EXPECT_THAT(error(std::string(predict) + " -o mine"), HasSubstr("would be a folder"));
  write("parts.yaml", "devices: 2\nstrategy: pipeline\nmicro_batches: 16\n");
  EXPECT_THAT(error(std::string(predict) + " --strategy parts.yaml --math exact"),
              AllOf(HasSubstr("parts.yaml:3:16: error: `--math exact` sums over a batch in 8 "
                              "blocks, too few for 16 micro-batches"),
                    HasSubstr("there may be 1 to 8")));
}

TEST_F(CliPartition, TheSearchKeepsWithinWhatDevicesHave) {
  const std::string search =
      "partition norm.yaml --devices cpu:0,cpu:1 --no-measure --quiet --no-sweeps --strategy "
      "data,auto --machine ";
  auto peak = [&](const nlohmann::ordered_json& row) {
    return std::max(row.at("peak_bytes_per_device")[0].get<int64_t>(),
                    row.at("peak_bytes_per_device")[1].get<int64_t>());
  };
  write("slow.yaml", replaced(read_text(source_root() / "models/machines/k20.yaml"), "link: .*",
                              "link: {gb_per_second: 0.001, latency_us: 900}"));
  const nlohmann::ordered_json free = json_of(search + "slow.yaml");
  EXPECT_EQ(peak(strategy(free, "auto")), peak(strategy(free, "single"))) << "slow links";
  // What was found has less memory than it needs: of the machine, or by a flag.
  const int64_t limit = peak(strategy(free, "auto")) - 1000;
  write("small.yaml", replaced(read_text(folder_ / "slow.yaml"), "memory_gib: .*",
                               fmt::format("memory_gib: {}", std::ldexp(limit, -30)).c_str()));
  for (const std::string& flags :
       {std::string("small.yaml"), fmt::format("slow.yaml --memory-limit {}B", limit)}) {
    const nlohmann::ordered_json tight = json_of(search + flags);
    EXPECT_THAT(strategy(tight, "single").at("error").get<std::string>(), HasSubstr("may use"));
    EXPECT_TRUE(strategy(tight, "auto").at("error").is_null());
    EXPECT_LE(peak(strategy(tight, "auto")), limit);
  }
}

TEST_F(CliPartition, StepsNeedTheMemoryThatIsPlanned) {
  const std::string measure =
      "partition cut.yaml --devices cpu:0,cpu:1 --machine k20 --no-sweeps --quiet --rounds 1 "
      "--strategy single,data,towers,spatial,pipeline-1f1b";
  const nlohmann::ordered_json all = json_of(measure);
  for (const auto& row : all.at("strategies"))
    EXPECT_EQ(row.at("used_bytes_per_device"), row.at("peak_bytes_per_device")) << row.at("name");
  const auto& single = strategy(all, "single").at("peak_bytes_per_device")[0];
  const nlohmann::ordered_json tight =
      json_of(fmt::format("{} --memory-limit {}B", measure, single.get<int64_t>()));
  EXPECT_FALSE(strategy(tight, "single").at("measured_ms").is_null()) << "no byte too many";
}

TEST_F(CliPartition, WhatCannotBeMeasuredIsANote) {
  // Where kernels should go there is a file, so that nothing compiles.
  Outcome outcome =
      run("partition cut.yaml --devices cpu:0,cpu:1 --machine k20 --no-sweeps --quiet "
          "--json --strategy data --cache mine/thesis.txt");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto report = nlohmann::ordered_json::parse(outcome.out);
  EXPECT_TRUE(strategy(report, "data").at("measured_ms").is_null());
  EXPECT_GT(strategy(report, "data").at("simulated_ms").get<double>(), 0);
  EXPECT_THAT(report.at("notes").dump(), HasSubstr("`data` could not be measured: "));
}

TEST_F(CliPartition, WhatDoesNotFitIsARow) {
  write("whole.yaml", "devices: 2\nlayers: {data: whole}\n");
  const std::string search = std::string(predict) + " --strategy all,whole.yaml --memory-limit ";
  const nlohmann::ordered_json all = json_of(search + "100MB");
  ASSERT_EQ(all.at("strategies").size(), 15u);
  const int64_t limit = strategy(all, "single").at("peak_bytes_per_device")[0].get<int64_t>() - 1;
  const nlohmann::ordered_json tight = json_of(search + fmt::format("{}B", limit));
  for (const char* name : {"single", "whole.yaml"})
    EXPECT_THAT(strategy(tight, name).at("error").get<std::string>(), HasSubstr("which may use"));
  for (const char* name : {"data", "filter", "auto"})
    EXPECT_TRUE(strategy(tight, name).at("error").is_null()) << name;
  for (const auto& line : tight.at("sweeps").at(1).at("lines")) {
    EXPECT_NE(line.at("strategy"), "single");
    EXPECT_TRUE(line.at("ms").back().is_null()) << "2,048 images fit nowhere";
  }
}

TEST_F(CliPartition, SweepsHaveTheBatchOfTheReport) {
  const nlohmann::ordered_json report =
      json_of(std::string(predict) + " --strategy data --batch 24");
  EXPECT_EQ(report.at("sweeps").at(1).at("what"), "batch");
  EXPECT_EQ(report.at("sweeps").at(1).at("points").at(1), 24);
}

TEST_F(CliPartition, DevicesThatDiffer) {
  write("two.yaml", R"(name: two
devices:
  - {name: slow, gflops: 1000, compute_efficiency: 1, gb_per_second: 100, memory_efficiency: 1, launch_us: 5, memory_gib: 4}
  - {name: fast, gflops: 9000, compute_efficiency: 1, gb_per_second: 900, memory_efficiency: 1, launch_us: 1, memory_gib: 4}
link: {gb_per_second: 0.001, latency_us: 900}
)");
  const nlohmann::ordered_json report =
      json_of("partition cut.yaml --devices cpu:0,cpu:1 --no-measure --quiet --no-sweeps "
              "--strategy auto --machine two.yaml");
  for (const auto& layer : report.at("choices"))
    EXPECT_EQ(layer.at("chosen"), "device 1");
  EXPECT_LT(strategy(report, "auto").at("simulated_ms").get<double>(),
            0.5 * strategy(report, "single").at("simulated_ms").get<double>());
}

TEST_F(CliPartition, ExplainsWhatOtherChoicesCost) {
  const nlohmann::ordered_json report = json_of(std::string(predict) + " --no-sweeps");
  for (const auto& layer : report.at("choices")) {
    double cheapest = std::numeric_limits<double>::infinity();
    bool exchanges = false;
    for (const auto& choice : layer.at("choices"))
      if (choice.at("why_not").is_null()) {
        cheapest = std::min(cheapest, choice.at("total_ms").get<double>());
        exchanges |= choice.at("exchange_ms").get<double>() > 0;
        EXPECT_LE(choice.at("compute_ms").get<double>() + choice.at("exchange_ms").get<double>(),
                  choice.at("total_ms").get<double>() * (1 + 1e-9));
      }
    EXPECT_TRUE(exchanges) << layer.at("layer");
    EXPECT_LT(cheapest, std::numeric_limits<double>::infinity());
  }
  EXPECT_GT(strategy(report, "pipeline").at("micro_batches").get<int>(), 1);
  EXPECT_EQ(strategy(report, "data").at("micro_batches"), 1);
}

} // namespace
} // namespace netc::test
