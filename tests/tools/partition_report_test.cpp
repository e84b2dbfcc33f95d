// What `netc partition` found out, as a table, as JSON and as an HTML file.

#include "ir/support/error.h"
#include "tests/support/golden.h"
#include "tests/tools/html_check.h"
#include "tests/tools/partition_samples.h"
#include "tools/driver/text_table.h"
#include "tools/partition/figures.h"
#include "tools/partition/html_parts.h"
#include "tools/viz/render.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <unistd.h>

namespace netc {
namespace {

using nlohmann::ordered_json;
using test::expect_golden;
using test::HtmlCheck;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::vector<std::string> keys(const ordered_json& json) {
  std::vector<std::string> names;
  for (auto it = json.begin(); it != json.end(); ++it)
    names.push_back(it.key());
  return names;
}

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1))
    ++n;
  return n;
}

constexpr const char* hostile = "</script><script>alert(\"1\")</script>&'`\\ <!-- ";

/// Every text of the report is one that breaks out of what is not escaped.
PartitionReport hostile_report() {
  PartitionReport r = test::sample_report();
  for (std::string* text : {&r.network, &r.math, &r.machine, &r.link, &r.banner, &r.host,
                            &r.version, &r.devices[0], &r.notes[0], &r.best})
    *text = hostile;
  StrategyReport& s = r.strategies[3];
  for (std::string* text :
       {&s.name, &s.doc, &s.layers[0].name, &s.layers[0].cut, &s.exchanges[0].name,
        &s.exchanges[0].kind, &s.exchanges[0].from, &s.exchanges[0].to,
        &s.predicted_timeline[0].label, &s.measured_timeline[0].label, &r.strategies[4].name,
        &r.strategies[4].error, &r.choices[0].layer, &r.choices[0].choices[1].cut,
        &r.choices[11].choices[3].why, &r.sweeps[0].lines[3].strategy,
        &r.sweeps[0].crossovers[0].from, &r.sweeps[0].crossovers[0].to})
    *text = hostile;
  r.strategies[1].name = std::string(500, 'n');
  r.strategies[2].layers[0].name = "ünïcödé ✓ \x01\x7f";
  return r;
}

TEST(PartitionTable, ShowsWhatWasMeasured) {
  expect_golden("tests/tools/partition/measured.txt", partition_table(test::sample_report()));
}

TEST(PartitionTable, ShowsPredictionsAlone) {
  expect_golden("tests/tools/partition/predicted.txt", partition_table(test::unmeasured_report()));
}

TEST(PartitionTable, SaysWhenNothingIsPossible) {
  PartitionReport r = test::sample_report();
  r.strategies.erase(r.strategies.begin(), r.strategies.end() - 1);
  r.best.clear();
  const std::string table = partition_table(r);
  EXPECT_THAT(table, HasSubstr("No strategy is possible here: each says why."));
  EXPECT_THAT(table, HasSubstr("pipeline: the network has 1 layer"));
  EXPECT_THAT(table, Not(HasSubstr("images/s"))) << "a table without rows";
}

TEST(PartitionTable, AlignsCharactersNotBytes) {
  EXPECT_EQ(text_table({{"ü", "b"}, {"ab", "–"}, {"a", "bcd"}}), "ü     b\nab    –\na   bcd\n");
}

TEST(PartitionJson, HasStableKeys) {
  const auto json = ordered_json::parse(partition_json(test::sample_report()));
  EXPECT_THAT(keys(json),
              ElementsAre("network", "batch", "math", "devices", "machine", "link", "other_machine",
                          "banner", "host", "version", "seed", "best", "strategies", "choices",
                          "search_seconds", "sweeps", "notes"));
  const auto& owt = json["strategies"][3];
  EXPECT_THAT(keys(owt),
              ElementsAre("name", "doc", "same_mathematics", "micro_batches", "error",
                          "predicted_ms", "simulated_ms", "measured_ms", "measured_low_ms",
                          "measured_high_ms", "images_per_second", "speed_up",
                          "bytes_sent_per_device", "link_bytes", "busy_ms_per_device",
                          "exposed_ms_per_device", "peak_bytes_per_device", "used_bytes_per_device",
                          "max_weight_difference", "difference_steps", "layers", "exchanges",
                          "predicted_timeline", "measured_timeline"));
  EXPECT_THAT(keys(owt["layers"][0]),
              ElementsAre("name", "cut", "compute_ms", "exchange_ms", "bytes_sent"));
  EXPECT_THAT(keys(owt["exchanges"][0]), ElementsAre("name", "kind", "from", "to", "bytes"));
  EXPECT_THAT(keys(owt["measured_timeline"][0]),
              ElementsAre("device", "lane", "label", "begin_ms", "end_ms", "bytes"));
  EXPECT_THAT(keys(json["choices"][0]), ElementsAre("layer", "chosen", "choices"));
  EXPECT_THAT(keys(json["choices"][0]["choices"][0]),
              ElementsAre("cut", "total_ms", "compute_ms", "exchange_ms", "bytes", "why_not"));
  EXPECT_THAT(keys(json["sweeps"][0]), ElementsAre("what", "points", "lines", "crossovers"));
  EXPECT_THAT(keys(json["sweeps"][0]["lines"][0]), ElementsAre("strategy", "ms"));
  EXPECT_THAT(keys(json["sweeps"][0]["crossovers"][0]), ElementsAre("at", "from", "to"));
}

TEST(PartitionFigures, MeasuredStepsAreComparedWithMeasuredOnes) {
  PartitionReport report;
  report.strategies.resize(3);
  auto set = [&](size_t at, const char* name, double simulated, double measured) {
    StrategyReport& row = report.strategies[at];
    row.name = name;
    row.simulated_ms = simulated;
    row.measured.reset();
    if (measured > 0)
      row.measured = MeasuredTime{measured, measured, measured};
  };
  set(0, "single", 1, 0), set(1, "data", 2, 0), set(2, "filter", 3, 0);
  EXPECT_EQ(report::fastest(report), "single");
  EXPECT_EQ(report::speed_up(report, report.strategies[1]), 0.5);
  set(1, "data", 2, 10), set(2, "filter", 3, 9); // on a slower machine than simulated
  EXPECT_EQ(report::fastest(report), "filter");
  EXPECT_EQ(report::speed_up(report, report.strategies[1]), std::nullopt);
  set(0, "single", 1, 18);
  EXPECT_EQ(report::speed_up(report, report.strategies[2]), 2);
  EXPECT_TRUE(report::prediction_error(report, report.strategies[2]).has_value());
  report.other_machine = true;
  EXPECT_FALSE(report::prediction_error(report, report.strategies[2]).has_value());
  for (StrategyReport& row : report.strategies)
    row.error = "does not fit";
  report.strategies[0].measured = report.strategies[1].measured = report.strategies[2].measured =
      std::nullopt;
  EXPECT_EQ(report::fastest(report), "");
}

TEST(PartitionJson, HoldsTheFigures) {
  const auto json = ordered_json::parse(partition_json(test::sample_report()));
  const auto& towers = json["strategies"][2];
  EXPECT_EQ(towers["name"], "towers");
  EXPECT_EQ(towers["same_mathematics"], false);
  EXPECT_EQ(towers["bytes_sent_per_device"], (std::vector<int64_t>{30'000'000, 31'100'000}));
  EXPECT_EQ(towers["measured_ms"], 186.1);
  EXPECT_NEAR(towers["images_per_second"], 128 / 0.1861, 1e-9);
  EXPECT_NEAR(towers["speed_up"], 354.2 / 186.1, 1e-9);
  EXPECT_EQ(towers["max_weight_difference"], 1.3e-6);
  EXPECT_EQ(towers["measured_timeline"][2]["lane"], "compute");
  EXPECT_EQ(towers["measured_timeline"][3]["lane"], "exchange");
  EXPECT_TRUE(json["choices"][11]["choices"][3]["total_ms"].is_null()) << "infinity";
  EXPECT_EQ(json["choices"][11]["choices"][3]["why_not"], "a linear layer has no rows");
  EXPECT_TRUE(json["sweeps"][1]["lines"][2]["ms"][5].is_null()) << "not a number";
}

TEST(PartitionJson, HasNullForWhatIsNotKnown) {
  const auto json = ordered_json::parse(partition_json(test::unmeasured_report()));
  EXPECT_TRUE(json["banner"].is_null());
  const auto& owt = json["strategies"][3];
  for (const char* key :
       {"measured_ms", "measured_low_ms", "measured_high_ms", "used_bytes_per_device",
        "max_weight_difference", "difference_steps", "measured_timeline", "error"})
    EXPECT_TRUE(owt[key].is_null()) << key;
  EXPECT_TRUE(owt["simulated_ms"].is_number());
  EXPECT_NEAR(owt["speed_up"], 354.2 / 180.4, 1e-9) << "of simulated steps";

  const auto& impossible = json["strategies"][4];
  EXPECT_EQ(keys(impossible), keys(owt));
  EXPECT_EQ(impossible["error"], "the network has 1 layer, which 2 stages cannot share");
  for (const char* key : {"predicted_ms", "speed_up", "bytes_sent_per_device", "layers"})
    EXPECT_TRUE(impossible[key].is_null()) << key;
}

TEST(PartitionJson, SurvivesOddNames) {
  PartitionReport r = hostile_report();
  r.host = "\xff";
  const auto json = ordered_json::parse(partition_json(r));
  EXPECT_EQ(json["network"], hostile);
  EXPECT_EQ(json["host"], "\xef\xbf\xbd");
}

TEST(HtmlCheck, FindsWhatIsWrong) {
  EXPECT_THAT(HtmlCheck("<p id=\"a\">a &amp; b<br><a href=\"#a\">c</a></p>").problems, IsEmpty());
  for (const char* wrong :
       {"<p>", "<p></b></p>", "<p><b></p></b>", "a & b", "a > b", "<p title=\"&\"></p>",
        "<p title=a></p>", "<p id=\"a\"></p><p id=\"a\"></p>", "<a href=\"#b\"></a>", "< b"})
    EXPECT_THAT(HtmlCheck(wrong).problems, Not(IsEmpty())) << wrong;
}

TEST(PartitionHtml, IsWellFormed) {
  PartitionReport empty;
  empty.network = "nothing";
  for (const PartitionReport& report :
       {test::sample_report(), test::sample_report(8), test::unmeasured_report(), empty}) {
    const HtmlCheck check(partition_html(report));
    EXPECT_THAT(check.problems, IsEmpty());
  }
}

TEST(PartitionHtml, NeedsNothingFromElsewhere) {
  const std::string html = partition_html(test::sample_report());
  EXPECT_EQ(count(html, "http"), count(html, "xmlns=\"http") + count(html, "xmlns:xlink=\"http"));
  for (const char* element : {"link", "img", "iframe", "object", "image", "use"})
    EXPECT_FALSE(HtmlCheck(html).elements.contains(element)) << element;
  EXPECT_EQ(count(html, " src="), 0u);
  EXPECT_EQ(count(html, "@import") + count(html, "@font-face"), 0u);
  EXPECT_EQ(count(html, "<script"), 1u);
}

TEST(PartitionHtml, EscapesEveryText) {
  const std::string html = partition_html(hostile_report());
  const HtmlCheck check(html);
  EXPECT_THAT(check.problems, IsEmpty());
  EXPECT_EQ(count(html, "<script"), 1u) << "only the report's own";
  EXPECT_EQ(count(html, "alert(\"1\")"), 0u);
  EXPECT_THAT(check.text, HasSubstr("&lt;script&gt;alert(&quot;1&quot;)"));
  EXPECT_THAT(check.text, HasSubstr("ünïcödé ✓"));
}

TEST(PartitionHtml, ShowsWhatIsThere) {
  const std::string full = partition_html(test::sample_report());
  for (const char* part :
       {"times are no speed-ups", "1.96 times as fast", "183.3 to 193.5", "✓ chosen", "At 430 MB/s",
        "measured: 180.3 ms", "predicted (simulated): 174.9 ms", "14 exchanges", "search"})
    EXPECT_THAT(full, HasSubstr(part));
  EXPECT_EQ(count(full, "<details class=\"strategy\" open>"), 1u) << "the best";
  EXPECT_EQ(count(full, "class=\"chart timeline\""), 4u);
  EXPECT_EQ(count(full, "class=\"chart sweep\""), 2u);

  const std::string predicted = partition_html(test::unmeasured_report());
  for (const char* part : {"class=\"banner\"", "measured: ", "<summary>drawing"})
    EXPECT_THAT(predicted, Not(HasSubstr(part)));
  EXPECT_EQ(count(predicted, "predicted (simulated): "), 4u);
}

TEST(PartitionHtml, MarksTheChosenAndTellsWhyNot) {
  const std::string html = report::choices_html(test::sample_report());
  EXPECT_EQ(count(html, "class=\"chosen\""), test::sample_layers().size());
  EXPECT_EQ(count(html, "<sup>1</sup>"), 3u) << "the same reason has one number";
  EXPECT_EQ(count(html, "<li>a linear layer has no rows</li>"), 1u);
  EXPECT_EQ(count(html, ">+10.1<"), 3u) << "190.42 against 180.36";
}

TEST(PartitionHtml, DrawsBothTimelinesOnOneAxis) {
  StrategyReport s;
  s.name = "owt";
  s.predicted_timeline = {{0, false, "conv1: forward", 0, 5, 0}};
  s.measured_timeline = {{0, false, "conv1: forward", 0, 10, 0},
                         {1, true, "conv1: halo", 2, 4, 3'000'000}};
  const std::string svg = report::timeline_svg(s);
  // 864 pixels are 10 ms.
  EXPECT_THAT(svg, HasSubstr("x=\"92.00\" y=\"26.0\" width=\"432.00\""));
  EXPECT_THAT(svg, HasSubstr("width=\"864.00\""));
  EXPECT_THAT(svg, HasSubstr("conv1: halo 2.000 ms from 2.000 ms, 3.0 MB"));
  EXPECT_EQ(count(svg, ">device 1<"), 2u) << "lanes of a device that does nothing, too";
  EXPECT_THAT(HtmlCheck(svg).problems, IsEmpty());
  EXPECT_EQ(report::timeline_svg(StrategyReport{}), "");
}

TEST(PartitionHtml, DrawsSweepsOfAnyRange) {
  const PartitionReport r = test::sample_report();
  for (double low : {1e-3, 1.0, 180.0})
    for (double ratio : {1.0, 1.01, 3.0, 50.0, 1e6}) {
      const Sweep sweep{"batch", {1, 2, 4}, {{"data", {low, low * ratio, low}}}, {}};
      const std::string svg = report::sweep_svg(r, sweep);
      EXPECT_THAT(HtmlCheck(svg).problems, IsEmpty());
      EXPECT_THAT(count(svg, "class=\"grid\""), testing::AllOf(testing::Ge(2u), testing::Le(14u)))
          << low << " " << ratio;
      EXPECT_EQ(svg.find("nan"), svg.npos);
    }
  EXPECT_EQ(report::sweep_svg(r, {"batch", {1}, {{"data", {std::nan("")}}}, {}}), "");
  EXPECT_THROW(report::sweep_svg(r, {"batch", {1, 2}, {{"data", {1}}}, {}}), InternalError);
  EXPECT_THROW(report::sweep_svg(r, {"batch", {0}, {{"data", {1}}}, {}}), InternalError);
}

TEST(PartitionHtml, RenamesTheIdsOfDrawings) {
  const std::string svg = report::inline_svg(test::sample_drawing(), "p-");
  EXPECT_TRUE(svg.starts_with("<svg")) << svg;
  EXPECT_THAT(svg, HasSubstr("id=\"p-l_0\""));
  EXPECT_THAT(svg, HasSubstr("url(#p-l_0)"));
  EXPECT_THAT(svg, HasSubstr("id=\"p-node1\" class"));
  EXPECT_THAT(svg, HasSubstr(">conv1 id=1<")) << "texts stay";
  EXPECT_THAT(svg, Not(HasSubstr("<!--")));
  EXPECT_EQ(report::inline_svg("", "p-"), "");
}

TEST(PartitionHtml, TakesWhatGraphvizDraws) {
  if (!graphviz_available())
    GTEST_SKIP() << "built without graphviz";
  const auto file = std::filesystem::temp_directory_path() /
                    ("netc-drawing-" + std::to_string(::getpid()) + ".svg");
  render_dot("digraph g { a [label=\"x -> <y> & \\\"z\\\"\" style=filled fillcolor=\"red:blue\" "
             "tooltip=\"t <b>\"]; subgraph cluster_1 { b } a -> b }",
             "svg", file);
  PartitionReport r = test::sample_report();
  for (StrategyReport& s : r.strategies)
    s.drawing = test::read_text(file);
  std::filesystem::remove(file);
  const std::string html = partition_html(r);
  EXPECT_THAT(HtmlCheck(html).problems, IsEmpty());
  EXPECT_THAT(html, HasSubstr("id=\"drawing-2-node1\""));
  EXPECT_THAT(html, HasSubstr("url(#drawing-2-")) << "two colours of a node";
}

TEST(PartitionFigures, AreWrittenForPeople) {
  using namespace report;
  EXPECT_EQ(number(1234567.25, 1), "1,234,567.2");
  EXPECT_EQ(number(-1234, 0), "-1,234");
  EXPECT_EQ(number(999.5, 1), "999.5");
  EXPECT_EQ(number(std::nan(""), 1), "–");
  EXPECT_EQ(megabytes(243'900'000), "243.9");
  EXPECT_EQ(megabytes(12'345), "0.012");
  EXPECT_EQ(megabytes(3), "< 0.001");
  EXPECT_EQ(megabytes(0), "0");
  EXPECT_EQ(per_device(std::vector<int64_t>{31'100'000, 31'120'000}), "31.1 each");
  EXPECT_EQ(per_device(std::vector<int64_t>{31'100'000, 30'000'000}), "31.1 / 30.0");
  EXPECT_EQ(per_device(std::vector<int64_t>{4'000'000, 1'000'000, 0, 2'000'000}), "0 to 4.0");
  EXPECT_EQ(per_device(std::vector<int64_t>{0, 0}), "0");
  EXPECT_EQ(difference(0.0), "0");
  EXPECT_EQ(difference(std::nullopt), "–");
  EXPECT_EQ(sweep_point({"bandwidth", {}, {}, {}}, 6e9), "6 GB/s");
  EXPECT_EQ(sweep_point({"bandwidth", {}, {}, {}}, 4.3e8), "430 MB/s");
  EXPECT_EQ(sweep_point({"batch", {}, {}, {}}, 4096), "4,096");
}

TEST(PartitionFigures, NameTheWorstPrediction) {
  PartitionReport r = test::sample_report();
  r.strategies[2].simulated_ms = 186.1 * 1.25;
  EXPECT_THAT(report::summary(r), HasSubstr("by 25.0 % at most (towers)"));
  r.best = "single";
  EXPECT_THAT(report::summary(r), Not(HasSubstr("times as fast")));
}

} // namespace
} // namespace netc
