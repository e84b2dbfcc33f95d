#include "runtime/train/curves.h"

#include "runtime/train/chart.h"
#include "tests/runtime/temporary_folder.h"

#include <cmath>
#include <limits>

namespace netc {
namespace {

MetricsRow row_at(int64_t step, double epoch) {
  MetricsRow row;
  row.step = step;
  row.epoch = epoch;
  return row;
}

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1))
    ++found;
  return found;
}

/// What every picture must hold: balanced elements, no number that SVG cannot read.
void expect_sound(const std::string& svg) {
  EXPECT_TRUE(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
  EXPECT_EQ(svg.find("nan"), svg.npos);
  EXPECT_EQ(svg.find("inf"), svg.npos);
  for (std::string name : {"text", "g", "clipPath", "tspan", "title"})
    EXPECT_EQ(count(svg, "<" + name + " ") + count(svg, "<" + name + ">"),
              count(svg, "</" + name + ">"))
        << name;
}

TEST(Curves, NoRows) {
  std::string svg = render_curves({}, "empty");
  expect_sound(svg);
  EXPECT_EQ(count(svg, "not measured yet"), 2u);
}

TEST(Curves, OnePointIsADot) {
  MetricsRow row = row_at(1, 0.01);
  row.train_loss = 2.3;
  std::string svg = render_curves({row}, "one");
  expect_sound(svg);
  EXPECT_EQ(count(svg, "<path "), 0u);
  EXPECT_GE(count(svg, "<circle "), 1u);
}

TEST(Curves, BothPanelsAndTheDropsOfTheRate) {
  std::vector<MetricsRow> rows;
  for (int i = 1; i <= 10; ++i) {
    MetricsRow row = row_at(i * 100, i);
    row.rate = i < 4 ? 0.01 : i < 8 ? 0.001 : 0.0001;
    row.train_loss = 2.0 / i;
    row.train_top1 = 1 - 0.5 / i;
    row.val_loss = 2.1 / i;
    row.val_top1 = 1 - 0.6 / i;
    row.val_top5 = 1 - 0.2 / i;
    rows.push_back(row);
  }
  std::string svg = render_curves(rows, "lenet");
  expect_sound(svg);
  for (const char* text : {">validation", ">training top-1", ">validation top-5", "best 6.0 %",
                           ">rate 0.001<", ">rate 0.0001<", ">epoch<", ">lenet<"})
    EXPECT_NE(svg.find(text), svg.npos) << text;
  EXPECT_EQ(count(svg, "stroke-dasharray"), 4u) << "two drops in two panels";
  EXPECT_EQ(svg, render_curves(rows, "lenet"));
}

TEST(Curves, ShortRunsCountSteps) {
  std::vector<MetricsRow> rows = {row_at(10, 0.1), row_at(20, 0.2)};
  rows[0].train_loss = rows[1].train_loss = 1;
  EXPECT_NE(render_curves(rows, "x").find(">step<"), std::string::npos);
}

TEST(Curves, NanAndInfinityAreGaps) {
  std::vector<MetricsRow> rows;
  for (int i = 0; i < 30; ++i) {
    rows.push_back(row_at(i, i));
    rows.back().train_loss = i == 10   ? std::numeric_limits<double>::quiet_NaN()
                             : i == 20 ? std::numeric_limits<double>::infinity()
                                       : 1.0 + i;
  }
  std::string svg = render_curves(rows, "gaps");
  expect_sound(svg);
  size_t path = svg.find("<path d=\"");
  EXPECT_EQ(count(svg.substr(path, svg.find("fill", path) - path), "M"), 3u);
}

TEST(Curves, ExtremeValuesStaySound) {
  for (double value : {1e300, -1e300, 1e-300, 0.0, std::numeric_limits<double>::max(),
                       std::numeric_limits<double>::denorm_min()}) {
    std::vector<MetricsRow> rows;
    for (int i = 0; i < 50; ++i) {
      rows.push_back(row_at(i, i));
      rows.back().train_loss = i % 7 == 0 ? value : 2.0;
      rows.back().val_loss = value;
      rows.back().val_top1 = value;
    }
    std::string svg = render_curves(rows, "extreme");
    expect_sound(svg);
    EXPECT_LT(svg.size(), 60000u);
  }
  std::vector<MetricsRow> rows = {row_at(1, NAN),
                                  row_at(std::numeric_limits<int64_t>::max(), 1e18)};
  rows[0].train_loss = rows[1].train_loss = 1;
  std::string svg = render_curves(rows, "x");
  expect_sound(svg);
  EXPECT_LT(svg.size(), 60000u);
}

TEST(Curves, SizeDoesNotGrowWithTheRun) {
  std::vector<MetricsRow> rows;
  for (int i = 0; i < 1'000'000; ++i) {
    rows.push_back(row_at(i, i / 1000.0));
    rows.back().rate = 1.0 / (i + 1);
    rows.back().train_loss = 2 + std::sin(i * 12.9898) * 0.5;
  }
  std::string svg = render_curves(rows, "long");
  expect_sound(svg);
  EXPECT_LT(svg.size(), 200'000u);
  EXPECT_EQ(count(svg, "stroke-dasharray"), 0u) << "a smooth schedule has no drops";
}

TEST(Curves, TitlesAreEscaped) {
  std::string svg = render_curves({}, "<a> & \"b\"\n");
  EXPECT_NE(svg.find("&lt;a&gt; &amp; &quot;b&quot; <"), svg.npos);
}

TEST(Curves, WritesTheFile) {
  TemporaryFolder folder;
  MetricsWriter writer = MetricsWriter::create(folder / "metrics.csv");
  MetricsRow row = row_at(1, 1);
  row.train_loss = 1;
  writer.append(row);
  write_curves(folder / "metrics.csv", folder / "curves.svg", "t");
  EXPECT_EQ(read_file(folder / "curves.svg"), render_curves({row}, "t"));
}

TEST(Chart, DecimationKeepsTheExtremesOfAColumn) {
  chart::Series series;
  for (int i = 0; i < 100000; ++i)
    series.points.push_back({static_cast<double>(i), i == 51234 ? 1.0 : 0.5});
  std::string svg = chart::draw_series(series, {0, 0, 100, 100}, {0, 100000, 1}, {0, 1, 1});
  EXPECT_LT(svg.size(), 10000u);
  EXPECT_NE(svg.find("L51.2 0.0"), svg.npos) << "the peak is still there";
}

TEST(Chart, AxesEndOnTicks) {
  chart::Axis axis = chart::nice_axis(0.13, 6.9, 5);
  EXPECT_EQ(axis.low, 0);
  EXPECT_EQ(axis.high, 8);
  EXPECT_EQ(axis.step, 2);
  axis = chart::nice_axis(3, 3, 5);
  EXPECT_LT(axis.low, 3);
  EXPECT_GT(axis.high, 3);
}

TEST(Chart, TickLabels) {
  EXPECT_EQ(chart::tick_label(0, 0.5), "0.0");
  EXPECT_EQ(chart::tick_label(0.25, 0.05), "0.25");
  EXPECT_EQ(chart::tick_label(1500, 500), "1,500");
  EXPECT_EQ(chart::tick_label(200000, 50000), "200k");
  EXPECT_EQ(chart::tick_label(1.5e6, 5e5), "1.5M");
  EXPECT_EQ(chart::tick_label(-0.0, 1), "0");
  EXPECT_EQ(chart::tick_label(-1234, 1), "-1,234");
  EXPECT_EQ(chart::tick_label(-100, 50), "-100");
}

} // namespace
} // namespace netc
