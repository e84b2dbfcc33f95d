#include "ir/support/error.h"
#include "runtime/train/chart.h"
#include "tools/partition/figures.h"
#include "tools/partition/html_parts.h"
#include "tools/partition/html_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace netc::report {

namespace {

constexpr double width = 900, height = 440, label_height = 14;
constexpr chart::Area area{62, 34, 670, 352};
constexpr size_t colours = 7, dashes = 3; // --s0 to --s6, .dash1 and .dash2 of report.css

/// Values in which a logarithmic axis has ticks, and its ends as logarithms.
struct LogAxis {
  std::vector<double> ticks;
  chart::Axis axis;
};

/// Steps within a power of ten: the fewer, the more powers there are.
std::vector<double> mantissas(double ratio) {
  if (ratio > 3000)
    return {1};
  if (ratio > 12)
    return {1, 2, 5};
  return {1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8};
}

/// An axis over positive values with its ends on ticks.
LogAxis log_axis(double low, double high) {
  LogAxis result;
  const auto steps = mantissas(high / low);
  std::vector<double> all;
  for (int power = static_cast<int>(std::floor(std::log10(low))) - 1;
       all.empty() || all.back() < high; ++power)
    for (double step : steps)
      all.push_back(step * std::pow(10.0, power));
  auto first = std::upper_bound(all.begin(), all.end(), low * (1 + 1e-9)) - 1;
  auto last = std::lower_bound(first, all.end(), high * (1 - 1e-9));
  if (last == first)
    ++last;
  result.ticks.assign(first, last == all.end() ? last : last + 1);
  result.axis = {std::log10(result.ticks.front()), std::log10(result.ticks.back()), 1};
  return result;
}

/// The x axis: bandwidths have ticks at round values, batches at the points themselves.
LogAxis point_axis(const Sweep& sweep) {
  const double low = sweep.points.front(), high = sweep.points.back();
  if (sweep.what == "bandwidth" || sweep.points.size() == 1 || sweep.points.size() > 12)
    return log_axis(low, high);
  return {sweep.points, {std::log10(low), std::log10(high), 1}};
}

/// The y axis over all times; nothing when there is none.
std::optional<LogAxis> time_axis(const Sweep& sweep) {
  double low = std::numeric_limits<double>::infinity(), high = 0;
  for (const Sweep::Line& line : sweep.lines)
    for (double ms : line.ms)
      if (std::isfinite(ms) && ms > 0)
        low = std::min(low, ms), high = std::max(high, ms);
  return high > 0 ? std::optional(log_axis(low, high)) : std::nullopt;
}

std::string axes_svg(const Sweep& sweep, const LogAxis& x, const LogAxis& y) {
  const double bottom = area.top + area.height, right = area.left + area.width;
  std::string out;
  for (double tick : y.ticks) {
    const double at = chart::pixel_y(area, y.axis, std::log10(tick));
    out +=
        fmt::format("<line class=\"grid\" x1=\"{}\" y1=\"{:.1f}\" x2=\"{}\" y2=\"{:.1f}\"/>"
                    "<text class=\"soft\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}"
                    "</text>\n",
                    area.left, at, right, at, area.left - 8, at + 4, chart::tick_label(tick, tick));
  }
  for (double tick : x.ticks) {
    const double at = chart::pixel_x(area, x.axis, std::log10(tick));
    out += fmt::format("<line class=\"axis\" x1=\"{0:.1f}\" y1=\"{1}\" x2=\"{0:.1f}\" y2=\"{2}\"/>"
                       "<text class=\"soft\" x=\"{0:.1f}\" y=\"{3}\" text-anchor=\"middle\">{4}"
                       "</text>\n",
                       at, bottom, bottom + 5, bottom + 19, sweep_point(sweep, tick));
  }
  return out +
         fmt::format("<line class=\"axis\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>"
                     "<text class=\"soft\" x=\"10\" y=\"16\">ms a step (simulated)</text>"
                     "<text class=\"soft\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}"
                     "</text>\n",
                     area.left, bottom, right, bottom, area.left + area.width / 2, bottom + 40,
                     sweep.what == "bandwidth" ? "bandwidth of the link" : "images in a batch");
}

/// The name of a line beside its end.
struct EndLabel {
  double x, y; ///< The end of the line.
  double at;   ///< Where the text stands.
  std::string text, colour;
};

/// Moves labels apart, within the height of the chart as far as they fit.
void spread(std::vector<EndLabel>& labels) {
  std::sort(labels.begin(), labels.end(), [](auto& a, auto& b) { return a.y < b.y; });
  double above = area.top - label_height;
  for (EndLabel& label : labels)
    above = label.at = std::max(label.y, above + label_height);
  double below = area.top + area.height + label_height;
  for (auto label = labels.rbegin(); label != labels.rend(); ++label)
    below = label->at = std::min(label->at, below - label_height);
}

std::string labels_svg(std::vector<EndLabel> labels) {
  spread(labels);
  const double right = area.left + area.width;
  std::string out;
  for (const EndLabel& label : labels)
    out += fmt::format("<line stroke=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{}\" y2=\"{:.1f}\"/>"
                       "<text x=\"{}\" y=\"{:.1f}\" style=\"fill:{}\">{}</text>\n",
                       label.colour, label.x + 4, label.y, right + 16, label.at, right + 20,
                       label.at + 4, label.colour, escaped(label.text));
  return out;
}

/// Lines of strategies keep their colours from sweep to sweep.
size_t style_of(const PartitionReport& report, const std::string& strategy) {
  const StrategyReport* found = find_strategy(report, strategy);
  return found ? static_cast<size_t>(found - report.strategies.data()) : report.strategies.size();
}

/// A name that fits beside the chart.
std::string shortened(const std::string& name) {
  size_t length = 18;
  if (name.size() <= length)
    return name;
  for (--length; (name[length] & 0xc0) == 0x80;) // not within a character of UTF-8
    --length;
  return name.substr(0, length) + "…";
}

std::string lines_svg(const PartitionReport& report, const Sweep& sweep, const LogAxis& x,
                      const LogAxis& y) {
  std::string out;
  std::vector<EndLabel> labels;
  for (const Sweep::Line& line : sweep.lines) {
    const size_t style = style_of(report, line.strategy);
    chart::Series series;
    series.colour = fmt::format("var(--s{})", style % colours);
    series.width = line.strategy == report.best ? 3.2 : 1.8;
    series.markers = true;
    for (size_t i = 0; i < sweep.points.size(); ++i)
      series.points.push_back({std::log10(sweep.points[i]), std::log10(line.ms[i])});
    out += fmt::format("<g class=\"dash{}\"><title>{}</title>{}</g>\n", style / colours % dashes,
                       escaped(line.strategy), chart::draw_series(series, area, x.axis, y.axis));
    auto last = std::find_if(series.points.rbegin(), series.points.rend(),
                             [](const chart::Point& p) { return std::isfinite(p.y); });
    if (last == series.points.rend())
      continue;
    const double at = chart::pixel_y(area, y.axis, last->y);
    labels.push_back(
        {chart::pixel_x(area, x.axis, last->x), at, at, shortened(line.strategy), series.colour});
  }
  return out + labels_svg(std::move(labels));
}

/// Logarithm of a line's time at a point between its own.
double interpolated(const Sweep& sweep, const std::string& strategy, double at) {
  for (const Sweep::Line& line : sweep.lines)
    for (size_t i = 1; line.strategy == strategy && i < sweep.points.size(); ++i)
      if (sweep.points[i - 1] <= at && at <= sweep.points[i]) {
        const double share =
            std::log(at / sweep.points[i - 1]) / std::log(sweep.points[i] / sweep.points[i - 1]);
        return (1 - share) * std::log10(line.ms[i - 1]) + share * std::log10(line.ms[i]);
      }
  return std::numeric_limits<double>::quiet_NaN();
}

/// Numbered flags where the fastest strategy changes.
std::string crossovers_svg(const Sweep& sweep, const LogAxis& x, const LogAxis& y) {
  std::string out;
  double free_from = 0; // flags that are close stand one below the other
  double top = area.top;
  for (size_t i = 0; i < sweep.crossovers.size(); ++i) {
    const Sweep::Crossover& c = sweep.crossovers[i];
    const double at = chart::pixel_x(area, x.axis, std::log10(c.at));
    top = at < free_from ? top + 18 : area.top;
    free_from = at + 20;
    out += fmt::format("<g><title>{}: from {} to {}</title><line class=\"cross\" x1=\"{:.1f}\" "
                       "y1=\"{}\" x2=\"{:.1f}\" y2=\"{}\"/>",
                       sweep_point(sweep, c.at), escaped(c.from), escaped(c.to), at, top, at,
                       area.top + area.height);
    if (const double ms = interpolated(sweep, c.to, c.at); std::isfinite(ms))
      out += fmt::format("<circle class=\"ring\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"6\"/>", at,
                         chart::pixel_y(area, y.axis, ms));
    out += fmt::format("<circle class=\"flag\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"8\"/>"
                       "<text class=\"flagged\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text></g>\n",
                       at, top - 4, at, top, i + 1);
  }
  return out;
}

} // namespace

std::string sweep_svg(const PartitionReport& report, const Sweep& sweep) {
  for (const Sweep::Line& line : sweep.lines)
    NETC_CHECK(line.ms.size() == sweep.points.size(), "sweep: {} of {} points of {}",
               line.ms.size(), sweep.points.size(), line.strategy);
  for (double point : sweep.points)
    NETC_CHECK(point > 0, "sweep: {} at {}", sweep.what, point);
  const auto y = time_axis(sweep);
  if (!y)
    return "";
  const LogAxis x = point_axis(sweep);
  return fmt::format("<svg class=\"chart sweep\" viewBox=\"0 0 {} {}\" role=\"img\" "
                     "aria-label=\"time of a step by {}\">\n{}{}{}</svg>\n",
                     width, height, escaped(sweep.what), axes_svg(sweep, x, *y),
                     crossovers_svg(sweep, x, *y), lines_svg(report, sweep, x, *y));
}

} // namespace netc::report
