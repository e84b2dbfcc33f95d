#include "runtime/train/chart.h"
#include "tools/partition/figures.h"
#include "tools/partition/html_parts.h"
#include "tools/partition/html_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace netc::report {

namespace {

constexpr double width = 1000, gutter = 92, right_margin = 44, left_margin = 10;
constexpr double compute_height = 24, exchange_height = 15, lane_gap = 3, device_gap = 9;
constexpr double heading_height = 26, axis_height = 30, letter_width = 5.7;
constexpr size_t colours = 9; // .k0 to .k8 of report.css

/// The layer that a span works for: what stands before the colon.
std::string layer_of(const TimelineSpan& span) {
  return span.label.substr(0, span.label.find(':'));
}

/// Layers in the order of the network; what is none comes behind them.
std::vector<std::string> layer_order(const StrategyReport& strategy) {
  std::vector<std::string> order;
  auto add = [&](const std::string& name) {
    if (std::find(order.begin(), order.end(), name) == order.end())
      order.push_back(name);
  };
  for (const LayerReport& layer : strategy.layers)
    add(layer.name);
  for (const auto* spans : {&strategy.predicted_timeline, &strategy.measured_timeline})
    for (const TimelineSpan& span : *spans)
      add(layer_of(span));
  return order;
}

class Timeline {
public:
  explicit Timeline(const StrategyReport& strategy) : order_(layer_order(strategy)) {
    double last = 0;
    for (const auto* spans : {&strategy.predicted_timeline, &strategy.measured_timeline})
      for (const TimelineSpan& span : *spans) {
        last = std::max(last, span.end_ms);
        devices_ = std::max(devices_, span.device + 1);
      }
    time_ = chart::nice_axis(0, last, 10);
    time_.high = last > 0 ? last : 1; // no empty stripe at the end
  }

  /// The lanes of all devices below those drawn so far.
  void add(const std::string& heading, const std::vector<TimelineSpan>& spans) {
    if (spans.empty())
      return;
    double end = 0;
    for (const TimelineSpan& span : spans)
      end = std::max(end, span.end_ms);
    body_ += fmt::format("<text class=\"strong\" x=\"{}\" y=\"{:.1f}\">{}: {} ms</text>\n",
                         left_margin, bottom_ + 17, heading, number(end, decimals(end)));
    bottom_ += heading_height;
    for (int device = 0; device < devices_; ++device) {
      add_lane(spans, device, false);
      add_lane(spans, device, true);
      bottom_ += device_gap - lane_gap;
    }
  }

  std::string svg() const {
    const chart::Area area{gutter, 0, width - gutter - right_margin, bottom_};
    std::string ticks;
    for (int i = 0; i * time_.step <= time_.high * (1 + 1e-9); ++i) {
      const double value = i * time_.step, x = chart::pixel_x(area, time_, value);
      ticks += fmt::format("<line class=\"grid\" x1=\"{0:.1f}\" y1=\"{1}\" x2=\"{0:.1f}\" "
                           "y2=\"{2:.1f}\"/><text class=\"soft\" x=\"{0:.1f}\" y=\"{3:.1f}\" "
                           "text-anchor=\"middle\">{4}</text>\n",
                           x, heading_height - 4, bottom_ + 4, bottom_ + 18,
                           chart::tick_label(value, time_.step));
    }
    return fmt::format(
        "<svg class=\"chart timeline\" viewBox=\"0 0 {} {:.0f}\" role=\"img\" "
        "aria-label=\"timeline of a step\">\n{}{}<text class=\"soft\" x=\"{}\" y=\"{:.1f}\" "
        "text-anchor=\"end\">ms</text></svg>\n",
        width, bottom_ + axis_height, ticks, body_, width - left_margin, bottom_ + 18);
  }

  /// The colours of the layers as a list.
  std::string key() const {
    std::string items;
    for (size_t i = 0; i < order_.size(); ++i)
      items += fmt::format("<li><i class=\"k{}\"></i>{}</li>", i % colours, escaped(order_[i]));
    return fmt::format("<ul class=\"key\">{}</ul>\n", items);
  }

private:
  void add_lane(const std::vector<TimelineSpan>& spans, int device, bool exchange) {
    const double height = exchange ? exchange_height : compute_height;
    body_ += fmt::format("<rect class=\"lane\" x=\"{}\" y=\"{:.1f}\" width=\"{}\" "
                         "height=\"{}\"/><text class=\"soft\" x=\"{}\" y=\"{:.1f}\" "
                         "text-anchor=\"end\">{}</text>\n",
                         gutter, bottom_, width - gutter - right_margin, height, gutter - 8,
                         bottom_ + height / 2 + 4,
                         exchange ? "exchange" : fmt::format("device {}", device));
    for (const TimelineSpan& span : spans)
      if (span.device == device && span.exchange == exchange)
        add_span(span, height);
    bottom_ += height + lane_gap;
  }

  void add_span(const TimelineSpan& span, double height) {
    const chart::Area area{gutter, 0, width - gutter - right_margin, 1};
    const std::string layer = layer_of(span);
    const auto index = std::find(order_.begin(), order_.end(), layer) - order_.begin();
    const double left = chart::pixel_x(area, time_, span.begin_ms);
    const double wide = std::max(chart::pixel_x(area, time_, span.end_ms) - left, 0.6);
    const double length = span.end_ms - span.begin_ms;
    std::string text = fmt::format("{}\n{} ms from {} ms", span.label, number(length, 3),
                                   number(span.begin_ms, 3));
    if (span.exchange)
      text += fmt::format(", {} MB", megabytes(span.bytes));
    body_ += fmt::format("<rect class=\"span k{}\" x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" "
                         "height=\"{}\"><title>{}</title></rect>\n",
                         static_cast<size_t>(index) % colours, left, bottom_, wide, height,
                         escaped(text));
    if (wide > letter_width * static_cast<double>(layer.size()) + 4)
      body_ += fmt::format("<text class=\"inside\" x=\"{:.1f}\" y=\"{:.1f}\" "
                           "text-anchor=\"middle\">{}</text>\n",
                           left + wide / 2, bottom_ + height / 2 + 3.7, escaped(layer));
  }

  std::vector<std::string> order_; ///< Of layers: their colours.
  chart::Axis time_;
  int devices_ = 0;
  double bottom_ = 0;
  std::string body_;
};

} // namespace

std::string timeline_svg(const StrategyReport& strategy) {
  if (strategy.predicted_timeline.empty() && strategy.measured_timeline.empty())
    return "";
  Timeline timeline(strategy);
  timeline.add("predicted (simulated)", strategy.predicted_timeline);
  timeline.add("measured", strategy.measured_timeline);
  return fmt::format("<div class=\"scroll\" tabindex=\"0\">{}</div>\n{}", timeline.svg(),
                     timeline.key());
}

} // namespace netc::report
