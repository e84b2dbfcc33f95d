#include "runtime/train/curves.h"

#include "runtime/train/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace netc {

namespace {

using namespace chart;

constexpr double width = 940, height = 660;
constexpr Area loss_area = {66, 96, 844, 222};
constexpr Area error_area = {66, 380, 844, 222};

// Told apart with every kind of colour blindness (Okabe and Ito).
constexpr const char* blue = "#0072b2";
constexpr const char* orange = "#d55e00";
constexpr const char* green = "#009e73";

constexpr size_t most_markers = 60;
constexpr size_t most_drops = 24;

using Cell = std::optional<double> MetricsRow::*;

/// Where rows lie on the x axis.
struct Horizontal {
  bool epochs = true; ///< Else steps.
  Axis axis;

  double of(const MetricsRow& row) const {
    return epochs ? row.epoch : static_cast<double>(row.step);
  }
};

Horizontal horizontal_axis(const std::vector<MetricsRow>& rows) {
  Horizontal x;
  double last_epoch = 0, last_step = 0;
  for (const MetricsRow& row : rows) {
    if (std::isfinite(row.epoch))
      last_epoch = std::max(last_epoch, row.epoch);
    last_step = std::max(last_step, static_cast<double>(row.step));
  }
  x.epochs = last_epoch >= 2;
  double last = x.epochs ? last_epoch : std::max(last_step, 1.0);
  x.axis = nice_axis(0, last, 10);
  x.axis.step = std::max(x.axis.step, 1.0); // Both count whole things.
  x.axis.high = last;
  return x;
}

/// `scale * value + offset` of a column where it was measured.
std::vector<Point> points_of(const std::vector<MetricsRow>& rows, const Horizontal& x, Cell cell,
                             double scale = 1, double offset = 0) {
  std::vector<Point> points;
  for (const MetricsRow& row : rows)
    if (const std::optional<double>& value = row.*cell; value && std::isfinite(row.epoch))
      points.push_back({x.of(row), scale * *value + offset});
  return points;
}

/// Centred mean over about a hundredth of the points, narrower at the ends and beside gaps. Values
/// count as if they lay on the axis, so that one spike does not hide its neighbours.
std::vector<Point> smoothed(std::vector<Point> points, const Axis& y) {
  size_t reach = points.size() / 200;
  for (size_t begin = 0, end = 0; begin < points.size(); begin = end + 1) {
    for (end = begin; end < points.size() && std::isfinite(points[end].y);)
      ++end;
    std::vector<double> sums = {0}; // Of the points before each one between begin and end.
    for (size_t i = begin; i < end; ++i)
      sums.push_back(sums.back() + std::clamp(points[i].y, y.low, y.high));
    for (size_t i = begin; i < end; ++i) {
      size_t before = std::min(reach, i - begin);
      size_t after =
          std::min(before, end - 1 - i); // Steep at the start: no farther ahead than back.
      points[i].y = (sums[i + after + 1 - begin] - sums[i - before - begin]) /
                    static_cast<double>(before + after + 1);
    }
  }
  return points;
}

/// The last or lowest finite y, or NaN.
double last_of(const std::vector<Point>& points) {
  for (auto p = points.rbegin(); p != points.rend(); ++p)
    if (std::isfinite(p->y))
      return p->y;
  return NAN;
}

double lowest_of(const std::vector<Point>& points) {
  double low = NAN;
  for (const Point& p : points)
    if (std::isfinite(p.y) && !(p.y >= low))
      low = p.y;
  return low;
}

std::string value_text(const char* what, double value, const char* unit) {
  if (!std::isfinite(value))
    return {};
  std::string number = *unit ? fmt::format("{:.1f}", value) : fmt::format("{:.4g}", value);
  return fmt::format("{}{}{}", what, number, unit);
}

/// Training: its raw values for now.
void add_training(std::vector<Series>& series, const char* label, std::vector<Point> raw) {
  if (!raw.empty())
    series.push_back({label, "", blue, std::move(raw), 2, 1, false});
}

/// Puts a smoothed curve, which carries the legend, over the raw training curve, now faint.
void smooth_training(std::vector<Series>& series, const Axis& y, const char* unit) {
  if (series.empty() || series[0].colour != blue)
    return;
  Series smooth = series[0];
  smooth.points = smoothed(smooth.points, y);
  smooth.value = value_text("", last_of(smooth.points), unit);
  series[0].label.clear();
  series[0].width = 1;
  series[0].opacity = 0.25;
  series.insert(series.begin() + 1, std::move(smooth));
}

void add_validation(std::vector<Series>& series, const char* label, const char* colour,
                    std::vector<Point> points, const char* unit) {
  if (points.empty())
    return;
  std::string value = value_text("best ", lowest_of(points), unit);
  bool markers = points.size() <= most_markers;
  series.push_back({label, value, colour, std::move(points), 2, 1, markers});
}

/// The y axis of a panel. Rare spikes, as at the start or of a diverging run, are left outside.
Axis vertical_axis(const std::vector<Series>& series) {
  std::vector<double> values;
  for (const Series& s : series)
    for (const Point& p : s.points)
      if (std::isfinite(p.y))
        values.push_back(p.y);
  if (values.empty())
    return {0, 1, 0.2};
  auto quantile = [&](double q) {
    auto at = values.begin() + static_cast<long>(q * static_cast<double>(values.size() - 1));
    std::nth_element(values.begin(), at, values.end());
    return *at;
  };
  double low = quantile(0), high = quantile(1);
  double usual = quantile(0.98), median = quantile(0.5);
  if (values.size() >= 20 && high > usual + 1.5 * (usual - low) && usual > low)
    high = usual + 0.25 * (usual - median);
  high = std::clamp(high, -1e15, 1e15); // Beyond, steps of an axis lose their digits.
  low = std::clamp(low, -1e15, high);
  if (low > 0 && low < 0.5 * high)
    low = 0;
  return nice_axis(low, high, 5);
}

/// Where the rate falls, with the new rate. Many falls are a smooth schedule: no lines then.
std::vector<Point> rate_drops(const std::vector<MetricsRow>& rows, const Horizontal& x) {
  std::vector<Point> drops;
  std::optional<double> before;
  for (const MetricsRow& row : rows) {
    if (!row.rate || !std::isfinite(row.epoch))
      continue;
    if (before && *row.rate < *before)
      drops.push_back({x.of(row), *row.rate});
    before = row.rate;
  }
  if (drops.size() > most_drops)
    drops.clear();
  return drops;
}

std::string draw_drops(const std::vector<Point>& drops, const Horizontal& x) {
  std::string out;
  double free_from = 0; // Labels do not run into each other.
  for (const Point& drop : drops) {
    double at = pixel_x(loss_area, x.axis, drop.x);
    for (const Area& area : {loss_area, error_area})
      out += fmt::format("<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\" "
                         "stroke=\"#9aa3ae\" stroke-dasharray=\"3 3\"/>\n",
                         at, area.top, area.top + area.height);
    std::string label = fmt::format("rate {:.3g}", drop.y);
    double wide = 6.0 * static_cast<double>(label.size());
    bool left = at + wide > loss_area.left + loss_area.width;
    double begin = left ? at - 5 - wide : at + 5;
    if (begin < free_from)
      continue;
    free_from = begin + wide + 6;
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" font-size=\"11\" "
                       "fill=\"#7a838f\">{}</text>\n",
                       left ? at - 5 : at + 5, loss_area.top + 12, left ? "end" : "start", label);
  }
  return out;
}

std::string draw_panel(const char* name, const char* unit, const Area& area,
                       std::vector<Series> series, const Horizontal& x, const char* clip) {
  Axis y = vertical_axis(series);
  smooth_training(series, y, unit);
  std::string out = draw_y_axis(area, y) + draw_x_axis(area, x.axis);
  out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"14\" font-weight=\"600\" "
                     "fill=\"#2b323b\">{}</text>\n",
                     area.left, area.top - 14, name);
  out += draw_legend(series, area.left + area.width, area.top - 14);
  // A little wider than the area: lines and dots on its border stay whole.
  out += fmt::format("<clipPath id=\"{}\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>"
                     "</clipPath>\n<g clip-path=\"url(#{})\">\n",
                     clip, area.left - 4, area.top - 4, area.width + 8, area.height + 8, clip);
  for (const Series& s : series)
    out += draw_series(s, area, x.axis, y);
  out += "</g>\n";
  if (series.empty())
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\" fill=\"#9aa3ae\">"
                       "not measured yet</text>\n",
                       area.left + area.width / 2, area.top + area.height / 2);
  return out;
}

} // namespace

std::string render_curves(const std::vector<MetricsRow>& rows, std::string_view title) {
  Horizontal x = horizontal_axis(rows);
  std::vector<Series> loss, error;
  add_training(loss, "training", points_of(rows, x, &MetricsRow::train_loss));
  add_validation(loss, "validation", orange, points_of(rows, x, &MetricsRow::val_loss), "");
  auto errors = [&](Cell accuracy) { return points_of(rows, x, accuracy, -100, 100); };
  add_training(error, "training top-1", errors(&MetricsRow::train_top1));
  add_validation(error, "validation top-1", orange, errors(&MetricsRow::val_top1), " %");
  add_validation(error, "validation top-5", green, errors(&MetricsRow::val_top5), " %");

  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" "
      "viewBox=\"0 0 {0} {1}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\">\n"
      "<title>{2}</title>\n<rect width=\"{0}\" height=\"{1}\" fill=\"#ffffff\"/>\n"
      "<text x=\"{3}\" y=\"42\" font-size=\"20\" font-weight=\"600\" fill=\"#1b2129\">{2}</text>\n",
      width, height, escape(title), loss_area.left);
  if (!rows.empty()) {
    const MetricsRow& last = rows.back();
    out +=
        fmt::format("<text x=\"{}\" y=\"42\" text-anchor=\"end\" fill=\"#7a838f\">step {}, epoch "
                    "{:.4g}</text>\n",
                    loss_area.left + loss_area.width, last.step, last.epoch);
  }
  out += draw_drops(rate_drops(rows, x), x);
  out += draw_panel("loss", "", loss_area, std::move(loss), x, "loss-area");
  out += draw_panel("error, %", " %", error_area, std::move(error), x, "error-area");
  out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\" fill=\"#5b6470\">{}"
                     "</text>\n</svg>\n",
                     error_area.left + error_area.width / 2,
                     error_area.top + error_area.height + 42, x.epochs ? "epoch" : "step");
  return out;
}

void write_curves(const std::filesystem::path& metrics, const std::filesystem::path& svg,
                  std::string_view title) {
  write_file_atomically(svg, render_curves(read_metrics(metrics), title));
}

} // namespace netc
