#pragma once
// Pieces of line charts as SVG text: axes, ticks, curves and legends.

#include <string>
#include <string_view>
#include <vector>

namespace netc::chart {

struct Point {
  double x = 0;
  double y = 0; ///< NaN or infinite: a gap in the curve.
};

/// A curve with its legend; x never falls.
struct Series {
  std::string label; ///< Empty: not in the legend.
  std::string value; ///< Shown behind the label, e.g. the best value; may be empty.
  std::string colour;
  std::vector<Point> points;
  double width = 2; ///< Of the stroke, pixels.
  double opacity = 1;
  bool markers = false; ///< Draws a dot at each point, for curves of few points.
};

/// Ticks at multiples of 1, 2 or 5 times a power of ten.
struct Axis {
  double low = 0; ///< The ends of the axis.
  double high = 1;
  double step = 1; ///< Between ticks.
};

/// A rectangle of pixels.
struct Area {
  double left, top, width, height;
};

/// An axis of about `ticks` ticks that covers [low, high], its ends on ticks. Equal ends are
/// spread.
Axis nice_axis(double low, double high, int ticks);

/// The label of a tick: `0.25`, `1,500`, `200k`, `1.5M`.
std::string tick_label(double value, double step);

/// `text` for XML: markup escaped, characters that XML forbids replaced.
std::string escape(std::string_view text);

/// The curve as path elements (and dots), at most a few points per pixel column.
std::string draw_series(const Series& series, const Area& area, const Axis& x, const Axis& y);

/// Frame, horizontal grid and the labels of the y axis.
std::string draw_y_axis(const Area& area, const Axis& y);

/// Ticks of the x axis with their labels below the area.
std::string draw_x_axis(const Area& area, const Axis& x);

/// The legend of the labelled series in one row that ends at `right`, on the text line `baseline`.
std::string draw_legend(const std::vector<Series>& series, double right, double baseline);

/// Pixel of a value.
double pixel_x(const Area& area, const Axis& x, double value);
double pixel_y(const Area& area, const Axis& y, double value);

} // namespace netc::chart
