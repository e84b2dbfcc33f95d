#include "runtime/train/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace netc::chart {

namespace {

constexpr const char* ink = "#5b6470";
constexpr const char* grid = "#e6e9ed";

/// `value` without digits that do not count: `1.5`, `2`.
std::string short_number(double value, int decimals) {
  std::string text = fmt::format("{:.{}f}", value, decimals);
  if (text.find('.') != text.npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.')
      text.pop_back();
  }
  return text == "-0" ? "0" : text;
}

int tick_count(const Axis& axis) {
  return static_cast<int>(std::lround((axis.high - axis.low) / axis.step));
}

} // namespace

Axis nice_axis(double low, double high, int ticks) {
  if (!(high > low)) {
    double spread = std::max(std::abs(low) * 0.1, 1e-6);
    low -= spread;
    high += spread;
  }
  double raw = (high - low) / ticks;
  double power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = power * 10;
  for (double factor : {5.0, 2.0, 1.0})
    if (factor * power >= raw * 0.999)
      step = factor * power;
  return {std::floor(low / step + 1e-9) * step, std::ceil(high / step - 1e-9) * step, step};
}

std::string tick_label(double value, double step) {
  double size = std::max(std::abs(value), step);
  if (size >= 1e9 || size < 1e-4)
    return value == 0 ? "0" : fmt::format("{:.3g}", value);
  if (size >= 1e6)
    return short_number(value / 1e6, 3) + "M";
  if (size >= 1e4)
    return short_number(value / 1e3, 2) + "k";
  int decimals = std::max(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-9)));
  std::string text = fmt::format("{:.{}f}", value, std::min(decimals, 8));
  if (std::abs(value) >= 1000)
    text.insert(text.size() - 3 - (decimals > 0 ? static_cast<size_t>(decimals) + 1 : 0), ",");
  return text.find_first_not_of("-0.") == text.npos && text[0] == '-' ? text.substr(1) : text;
}

std::string escape(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
    case '&':
      out += "&amp;";
      break;
    case '<':
      out += "&lt;";
      break;
    case '>':
      out += "&gt;";
      break;
    case '"':
      out += "&quot;";
      break;
    default:
      out += static_cast<unsigned char>(c) < 32 ? ' ' : c;
    }
  }
  return out;
}

double pixel_x(const Area& area, const Axis& x, double value) {
  return area.left + area.width * (value - x.low) / (x.high - x.low);
}

double pixel_y(const Area& area, const Axis& y, double value) {
  double at = area.top + area.height * (y.high - value) / (y.high - y.low);
  // Far outside the area the curve is clipped; keep its numbers short.
  return std::clamp(at, area.top - 9 * area.height, area.top + 10 * area.height);
}

namespace {

/// Collects one curve without gaps; of each pixel column it keeps the first, lowest, highest and
/// last point in their order, which draws the same pixels as all of them.
class Stroke {
public:
  void add(double x, double y) {
    long column = std::lround(x);
    if (count_ > 0 && column != column_)
      flush_column();
    column_ = column;
    held_.push_back({x, y});
    ++count_;
    if (held_.size() > 64)
      thin();
  }

  size_t count() const { return count_; }

  /// The `d` of a path.
  std::string finish() {
    flush_column();
    return std::move(path_);
  }

private:
  void thin() {
    auto [low, high] = std::minmax_element(
        held_.begin(), held_.end(), [](const Point& a, const Point& b) { return a.y < b.y; });
    std::vector<size_t> keep = {0, static_cast<size_t>(low - held_.begin()),
                                static_cast<size_t>(high - held_.begin()), held_.size() - 1};
    std::sort(keep.begin(), keep.end());
    keep.erase(std::unique(keep.begin(), keep.end()), keep.end());
    std::vector<Point> kept;
    for (size_t i : keep)
      kept.push_back(held_[i]);
    held_ = std::move(kept);
  }

  void flush_column() {
    if (held_.size() > 4)
      thin();
    for (const Point& p : held_)
      path_ += fmt::format("{}{:.1f} {:.1f}", path_.empty() ? "M" : "L", p.x, p.y);
    held_.clear();
  }

  std::string path_;
  std::vector<Point> held_; ///< Of the current column.
  long column_ = 0;
  size_t count_ = 0;
};

std::string dot(double x, double y, double radius, const Series& series) {
  return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\" fill=\"{}\" opacity=\"{}\"/>\n",
                     x, y, radius, series.colour, series.opacity);
}

} // namespace

std::string draw_series(const Series& series, const Area& area, const Axis& x, const Axis& y) {
  std::string path, dots;
  Stroke stroke;
  Point last;
  auto end_stroke = [&] {
    if (stroke.count() == 1) // A line of one point is invisible.
      dots += series.markers ? "" : dot(last.x, last.y, series.width + 0.5, series);
    else
      path += stroke.finish();
    stroke = Stroke();
  };
  for (const Point& p : series.points) {
    if (!std::isfinite(p.y)) {
      end_stroke();
      continue;
    }
    last = {pixel_x(area, x, p.x), pixel_y(area, y, p.y)};
    stroke.add(last.x, last.y);
    if (series.markers)
      dots += dot(last.x, last.y, 2.6, series);
  }
  end_stroke();
  if (!path.empty())
    path = fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" "
                       "stroke-opacity=\"{}\" stroke-linejoin=\"round\" "
                       "stroke-linecap=\"round\"/>\n",
                       path, series.colour, series.width, series.opacity);
  return path + dots;
}

std::string draw_y_axis(const Area& area, const Axis& y) {
  std::string out;
  for (int i = 0; i <= tick_count(y); ++i) {
    double value = y.low + i * y.step;
    double at = pixel_y(area, y, value);
    out += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" "
                       "stroke=\"{}\"/>\n",
                       area.left, at, area.left + area.width, at, i == 0 ? "#aab2bd" : grid);
    out +=
        fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\" fill=\"{}\">{}</text>\n",
                    area.left - 10, at + 4, ink, tick_label(value, y.step));
  }
  return out;
}

std::string draw_x_axis(const Area& area, const Axis& x) {
  std::string out;
  double bottom = area.top + area.height;
  double first = std::ceil(x.low / x.step - 1e-9) * x.step;
  for (int i = 0; first + i * x.step <= x.high + x.step * 1e-6; ++i) {
    double value = first + i * x.step;
    double at = pixel_x(area, x, value);
    out += fmt::format("<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\" "
                       "stroke=\"#aab2bd\"/>\n",
                       at, bottom, bottom + 5);
    out += fmt::format(
        "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\" fill=\"{}\">{}</text>\n", at,
        bottom + 20, ink, tick_label(value, x.step));
  }
  return out;
}

namespace {

/// About the width in pixels of a 12 px sans-serif text; viewers differ in fonts.
double text_width(std::string_view text) {
  double width = 0;
  for (char c : text)
    width += std::string_view("ijl.,:' ").find(c) != std::string_view::npos ? 3.1
             : std::string_view("frt-()").find(c) != std::string_view::npos ? 4.0
             : std::string_view("mwMW%").find(c) != std::string_view::npos  ? 10.2
                                                                            : 6.7;
  return width;
}

} // namespace

std::string draw_legend(const std::vector<Series>& series, double right, double baseline) {
  constexpr double swatch = 18, swatch_gap = 7, entry_gap = 22;
  std::string out;
  for (auto s = series.rbegin(); s != series.rend(); ++s) {
    if (s->label.empty())
      continue;
    std::string text = s->value.empty() ? s->label : s->label + " " + s->value;
    double begin = right - text_width(text) - swatch_gap - swatch;
    out +=
        fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" "
                    "stroke-width=\"3\" stroke-linecap=\"round\"/>\n",
                    begin, baseline - 4, begin + swatch, baseline - 4, s->colour);
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" fill=\"#2b323b\">{}",
                       begin + swatch + swatch_gap, baseline, escape(s->label));
    if (!s->value.empty())
      out += fmt::format(" <tspan fill=\"{}\">{}</tspan>", ink, escape(s->value));
    out += "</text>\n";
    right = begin - entry_gap;
  }
  return out;
}

} // namespace netc::chart
