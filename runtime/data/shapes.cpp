#include "runtime/data/shapes.h"

#include "ir/support/error.h"
#include "ir/support/philox.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace netc::data {

namespace {

// Shapes are defined within a circle of radius `unit` round the origin, y downwards.
constexpr int64_t unit = 4096;

struct Point {
  int64_t x = 0;
  int64_t y = 0;
};
using Polygon = std::vector<Point>;

/// cos and sin of turns / 256, in units of 1 / 16384. Rounding to integers hides the last-bit
/// differences between mathematical libraries.
Point direction(int turns) {
  const double angle = 2 * std::numbers::pi * turns / 256;
  return {std::lround(16384 * std::cos(angle)), std::lround(16384 * std::sin(angle))};
}

Polygon star() {
  Polygon points;
  for (int i = 0; i < 10; ++i) {
    const double angle = std::numbers::pi * (i / 5.0 - 0.5);
    const double radius = i % 2 == 0 ? 4096 : 1650;
    points.push_back(
        {std::lround(radius * std::cos(angle)), std::lround(radius * std::sin(angle))});
  }
  return points;
}

/// Even-odd rule.
bool within(const Polygon& polygon, Point p) {
  bool inside = false;
  for (size_t i = 0, j = polygon.size() - 1; i < polygon.size(); j = i++) {
    const Point a = polygon[i], b = polygon[j];
    if ((a.y > p.y) == (b.y > p.y))
      continue;
    const int64_t cross = (b.x - a.x) * (p.y - a.y) - (p.x - a.x) * (b.y - a.y);
    inside ^= b.y > a.y ? cross > 0 : cross < 0;
  }
  return inside;
}

bool within(Point p, Point center, int64_t radius) {
  const int64_t dx = p.x - center.x, dy = p.y - center.y;
  return dx * dx + dy * dy <= radius * radius;
}

/// A class: its name and which points belong to it. No shape is a turned or mirrored other.
struct Shape {
  const char* name;
  bool (*contains)(Point);
};

const Polygon arrow = {{4096, 0},      {600, 3000},  {600, 1100}, {-3800, 1100},
                       {-3800, -1100}, {600, -1100}, {600, -3000}};
const Polygon bar = {{-4000, -800}, {4000, -800}, {4000, 800}, {-4000, 800}};
const Polygon cross = {{-1200, -3900}, {1200, -3900}, {1200, -1200},  {3900, -1200},
                       {3900, 1200},   {1200, 1200},  {1200, 3900},   {-1200, 3900},
                       {-1200, 1200},  {-3900, 1200}, {-3900, -1200}, {-1200, -1200}};
const Polygon square = {{-2890, -2890}, {2890, -2890}, {2890, 2890}, {-2890, 2890}};
const Polygon five_points = star();
const Polygon triangle = {{0, -4096}, {3547, 2048}, {-3547, 2048}};

constexpr Shape shapes[] = {
    {"arrow", [](Point p) { return within(arrow, p); }},
    {"bar", [](Point p) { return within(bar, p); }},
    {"circle", [](Point p) { return within(p, {}, 3600); }},
    {"crescent",
     [](Point p) {
       return within(p, {}, 4000) && !within(p, {1900, 0}, 3100);
     }},
    {"cross", [](Point p) { return within(cross, p); }},
    {"ring", [](Point p) { return within(p, {}, 4000) && !within(p, {}, 2300); }},
    {"semicircle", [](Point p) { return p.y >= 0 && within(p, {}, 4096); }},
    {"square", [](Point p) { return within(square, p); }},
    {"star", [](Point p) { return within(five_points, p); }},
    {"triangle", [](Point p) { return within(triangle, p); }},
};
constexpr int shape_count = static_cast<int>(std::size(shapes));

/// The random numbers of one image: a counter-based stream.
class Draws {
public:
  Draws(uint64_t seed, Split split, int64_t index)
      : seed_(seed), split_(split == Split::train ? 0 : 1), index_(static_cast<unsigned>(index)) {}

  /// Four words of block `block`; use 0 for parameters, 1 for noise.
  Philox4 words(unsigned block, unsigned use) const {
    return philox4x32_10(static_cast<unsigned>(seed_),
                         static_cast<unsigned>(seed_ >> 32) ^ stream_synthetic, block, split_,
                         index_, use);
  }

  /// The next parameter, uniform in low..high.
  int64_t range(int64_t low, int64_t high) {
    const uint64_t word = words(next_ / 4, 0).word[next_ % 4];
    ++next_;
    return low + static_cast<int64_t>(word * static_cast<uint64_t>(high - low + 1) >> 32);
  }

private:
  uint64_t seed_;
  unsigned split_;
  unsigned index_;
  unsigned next_ = 0;
};

using Color = std::array<int64_t, 3>;

Color random_color(Draws& draws) {
  Color color;
  for (int64_t& value : color)
    value = draws.range(0, 255);
  return color;
}

int64_t luma(const Color& c) {
  return (299 * c[0] + 587 * c[1] + 114 * c[2]) / 1000;
}

/// A colour whose brightness is at least 80 from that of both others, which are close.
Color contrasting_color(Draws& draws, const Color& a, const Color& b) {
  for (int attempt = 0; attempt < 20; ++attempt) {
    const Color color = random_color(draws);
    if (std::min(std::abs(luma(color) - luma(a)), std::abs(luma(color) - luma(b))) >= 80)
      return color;
  }
  return luma(a) + luma(b) < 256 ? Color{255, 255, 255} : Color{0, 0, 0};
}

/// Where a shape lies in the image, in 1/16 pixels.
struct Placement {
  const Shape* shape;
  Point center;
  int64_t radius;
  Point turn;

  bool contains(Point p) const {
    const int64_t dx = p.x - center.x, dy = p.y - center.y;
    const int64_t divisor = radius * 16384;
    return shape->contains({(dx * turn.x + dy * turn.y) * unit / divisor,
                            (dy * turn.x - dx * turn.y) * unit / divisor});
  }

  /// How many of the 16 points of a 4x4 grid within pixel (x, y) belong to the shape.
  int coverage(int64_t x, int64_t y) const {
    int count = 0;
    for (int64_t sy = 2; sy < 16; sy += 4)
      for (int64_t sx = 2; sx < 16; sx += 4)
        count += contains({16 * x + sx, 16 * y + sy});
    return count;
  }
};

Placement random_placement(Draws& draws, int32_t label, int height, int width) {
  const int64_t side = 16 * std::min(height, width);
  Placement place{
      &shapes[label], {}, std::max<int64_t>(16, draws.range(side * 25 / 100, side * 44 / 100)), {}};
  const int64_t r = place.radius;
  place.center.x =
      draws.range(std::min(r, 8 * int64_t{width}), std::max(16 * width - r, 8 * int64_t{width}));
  place.center.y =
      draws.range(std::min(r, 8 * int64_t{height}), std::max(16 * height - r, 8 * int64_t{height}));
  place.turn = direction(static_cast<int>(draws.range(0, 255)));
  return place;
}

/// Per pixel, how many sixteenths the shape covers. Only pixels on its border are sampled finely.
std::vector<uint8_t> coverage_map(const Placement& place, int height, int width) {
  std::vector<uint8_t> map(static_cast<size_t>(height) * width, 0);
  auto inside = [&](int64_t x, int64_t y) { return place.contains({16 * x + 8, 16 * y + 8}); };
  const int64_t reach = place.radius / 16 + 2;
  const int64_t cx = place.center.x / 16, cy = place.center.y / 16;
  const int64_t x0 = std::max<int64_t>(0, cx - reach),
                x1 = std::min<int64_t>(width - 1, cx + reach);
  const int64_t y0 = std::max<int64_t>(0, cy - reach),
                y1 = std::min<int64_t>(height - 1, cy + reach);
  // One more column and row of centres on every side, to know each pixel's neighbours.
  const int64_t pitch = x1 - x0 + 3;
  std::vector<uint8_t> centers(static_cast<size_t>(pitch * (y1 - y0 + 3)));
  for (int64_t y = y0 - 1; y <= y1 + 1; ++y)
    for (int64_t x = x0 - 1; x <= x1 + 1; ++x)
      centers[(y - y0 + 1) * pitch + x - x0 + 1] = inside(x, y);
  for (int64_t y = y0; y <= y1; ++y)
    for (int64_t x = x0; x <= x1; ++x) {
      const uint8_t* c = &centers[(y - y0 + 1) * pitch + x - x0 + 1];
      const int near = c[0] + c[-1] + c[1] + c[-pitch] + c[pitch];
      const int full = near == 0 ? 0 : near == 5 ? 16 : place.coverage(x, y);
      map[y * width + x] = static_cast<uint8_t>(full);
    }
  return map;
}

} // namespace

const std::vector<std::string>& shape_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const Shape& shape : shapes)
      list.emplace_back(shape.name);
    return list;
  }();
  return names;
}

int32_t shape_label(int64_t index) {
  return static_cast<int32_t>(index % shape_count);
}

Image draw_shape(uint64_t seed, Split split, int64_t index, int height, int width) {
  Draws draws(seed, split, index);
  const Placement place = random_placement(draws, shape_label(index), height, width);
  const Color near = random_color(draws);
  Color far;
  for (int c = 0; c < 3; ++c)
    far[c] = std::clamp<int64_t>(near[c] + draws.range(-40, 40), 0, 255);
  const Color fill = contrasting_color(draws, near, far);
  const int64_t noise = draws.range(8, 40);
  const Point slope = direction(static_cast<int>(draws.range(0, 255)));
  const std::vector<uint8_t> coverage = coverage_map(place, height, width);

  Image image{height, width, 3, std::vector<uint8_t>(static_cast<size_t>(height) * width * 3)};
  Philox4 words{};
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    if (i % 16 == 0)
      words = draws.words(static_cast<unsigned>(i / 16), 1);
    const auto x = static_cast<int64_t>(i / 3 % width), y = static_cast<int64_t>(i / 3 / width);
    const size_t c = i % 3;
    // How far along the gradient, 0..1024.
    const int64_t along =
        512 + ((2 * x - width) * slope.x / width + (2 * y - height) * slope.y / height) / 64;
    const int64_t back = near[c] + (far[c] - near[c]) * std::clamp<int64_t>(along, 0, 1024) / 1024;
    const int64_t flat = back + (fill[c] - back) * coverage[i / 3] / 16;
    const auto byte = static_cast<int64_t>(words.word[i % 16 / 4] >> (8 * (i % 4)) & 255);
    image.pixels[i] =
        static_cast<uint8_t>(std::clamp<int64_t>(flat + (byte - 128) * noise / 128, 0, 255));
  }
  return image;
}

} // namespace netc::data
