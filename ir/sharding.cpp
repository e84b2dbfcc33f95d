#include "ir/sharding.h"

#include "ir/support/error.h"
#include "ir/support/text_reader.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

namespace netc {

bool is_empty(const Box& box) {
  return box.empty() ||
         std::any_of(box.begin(), box.end(), [](const Range& range) { return range.empty(); });
}

int64_t elements(const Box& box) {
  return is_empty(box) ? 0 : element_count(shape_of(box));
}

Shape shape_of(const Box& box) {
  Shape shape;
  for (const Range& range : box)
    shape.push_back(range.extent());
  return shape;
}

Box whole_box(const Shape& shape) {
  Box box;
  for (int64_t extent : shape)
    box.push_back({0, extent});
  return box;
}

Box intersect(const Box& a, const Box& b) {
  if (is_empty(a) || is_empty(b))
    return {};
  Box both;
  for (size_t d = 0; d < a.size(); ++d)
    both.push_back({std::max(a[d].begin, b[d].begin), std::min(a[d].end, b[d].end)});
  return is_empty(both) ? Box{} : both;
}

Box hull(const Box& a, const Box& b) {
  if (is_empty(a) || is_empty(b))
    return is_empty(a) ? b : a;
  Box both;
  for (size_t d = 0; d < a.size(); ++d)
    both.push_back({std::min(a[d].begin, b[d].begin), std::max(a[d].end, b[d].end)});
  return both;
}

bool contains(const Box& outer, const Box& inner) {
  return is_empty(inner) || intersect(outer, inner) == inner;
}

Box relative(const Box& inner, const Box& outer) {
  Box box;
  for (size_t d = 0; d < inner.size(); ++d)
    box.push_back({inner[d].begin - outer[d].begin, inner[d].end - outer[d].begin});
  return box;
}

std::vector<Box> difference(const Box& outer, const Box& inner) {
  if (is_empty(inner))
    return is_empty(outer) ? std::vector<Box>{} : std::vector<Box>{outer};
  std::vector<Box> rest;
  Box middle = outer;
  for (size_t d = 0; d < outer.size(); ++d) {
    for (Range side : {Range{middle[d].begin, inner[d].begin}, Range{inner[d].end, middle[d].end}})
      if (!side.empty()) {
        rest.push_back(middle);
        rest.back()[d] = side;
      }
    middle[d] = inner[d];
  }
  return rest;
}

std::string to_text(const Box& box) {
  if (is_empty(box))
    return "-";
  std::vector<std::string> ranges;
  for (const Range& range : box)
    ranges.push_back(fmt::format("{}:{}", range.begin, range.end));
  return fmt::format("[{}]", fmt::join(ranges, ", "));
}

std::string_view to_string(Combine combine) {
  return combine == Combine::none ? "none" : combine == Combine::sum ? "sum" : "max";
}

Sharding replicated(const Shape& shape, int devices) {
  return {std::vector<Box>(static_cast<size_t>(devices), whole_box(shape)), Combine::none};
}

Sharding on_device(const Shape& shape, int devices, int device) {
  Sharding sharding{std::vector<Box>(static_cast<size_t>(devices)), Combine::none};
  sharding.boxes[static_cast<size_t>(device)] = whole_box(shape);
  return sharding;
}

Sharding cut_along(const Shape& shape, int dim, const std::vector<int64_t>& bounds) {
  Sharding sharding;
  for (size_t i = 0; i + 1 < bounds.size(); ++i) {
    Box box = whole_box(shape);
    box[static_cast<size_t>(dim)] = {bounds[i], bounds[i + 1]};
    sharding.boxes.push_back(is_empty(box) ? Box{} : box);
  }
  return sharding;
}

Sharding cut_among_holders(const Sharding& alike) {
  Sharding sharding{std::vector<Box>(alike.boxes.size()), Combine::none};
  const std::vector<int> holders = alike.holders();
  const Box& held = alike.at(holders.front());
  const std::vector<int64_t> bounds =
      even_bounds(held[0].extent(), static_cast<int>(holders.size()));
  for (size_t i = 0; i < holders.size(); ++i) {
    Box part = held;
    part[0] = {held[0].begin + bounds[i], held[0].begin + bounds[i + 1]};
    if (!is_empty(part))
      sharding.boxes[static_cast<size_t>(holders[i])] = part;
  }
  return sharding;
}

std::vector<int64_t> even_bounds(int64_t extent, int devices) {
  std::vector<int64_t> bounds = {0};
  for (int i = 0; i < devices; ++i)
    bounds.push_back(bounds.back() + extent / devices + (i < extent % devices));
  return bounds;
}

std::vector<int> Sharding::holders() const {
  std::vector<int> list;
  for (int i = 0; i < devices(); ++i)
    if (!is_empty(at(i)))
      list.push_back(i);
  return list;
}

bool Sharding::disjoint() const {
  for (size_t i = 0; i < boxes.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (!is_empty(intersect(boxes[i], boxes[j])))
        return false;
  return true;
}

bool Sharding::alike() const {
  std::vector<int> list = holders();
  return std::all_of(list.begin(), list.end(), [&](int i) { return at(i) == at(list.front()); });
}

bool Sharding::partial() const {
  return combine != Combine::none && holders().size() > 1;
}

namespace {

/// The dimension that cuts `box` into the shards, -1 when they are not cut along one alone.
int cut_dim(const Sharding& sharding, const Box& whole) {
  int dim = -1;
  for (int i : sharding.holders())
    for (size_t d = 0; d < whole.size(); ++d)
      if (sharding.at(i)[d] != whole[d]) {
        if (dim >= 0 && dim != static_cast<int>(d))
          return -1;
        dim = static_cast<int>(d);
      }
  return dim;
}

} // namespace

std::string describe(const Sharding& sharding, const Shape& shape) {
  std::vector<int> list = sharding.holders();
  std::string partial = sharding.combine == Combine::none || list.size() < 2 ? ""
                        : sharding.combine == Combine::sum                   ? "partial sums"
                                                                             : "partial maxima";
  if (list.empty())
    return "nowhere";
  Box whole = whole_box(shape);
  if (sharding.alike() && sharding.at(list.front()) == whole) {
    std::string where = static_cast<int>(list.size()) == sharding.devices()
                            ? ""
                            : fmt::format(" on {}", fmt::join(list, ", "));
    return (partial.empty() ? "whole" : partial) + where;
  }
  int dim = cut_dim(sharding, whole);
  std::vector<std::string> parts;
  for (const Box& box : sharding.boxes)
    parts.push_back(is_empty(box) ? "-"
                    : dim >= 0    ? fmt::format("{}:{}", box[static_cast<size_t>(dim)].begin,
                                                box[static_cast<size_t>(dim)].end)
                                  : to_text(box));
  const std::string name = dim < 0             ? "boxes"
                           : shape.size() == 1 ? "elements"
                                               : fmt::format("dim {}", dim);
  return fmt::format("{}{}: {}", partial.empty() ? "" : partial + ", ", name,
                     fmt::join(parts, " | "));
}

int Mesh::devices() const {
  return std::accumulate(axes.begin(), axes.end(), 1,
                         [](int count, const Axis& axis) { return count * axis.size; });
}

int Mesh::position(int device, int axis) const {
  for (size_t i = axes.size() - 1; i > static_cast<size_t>(axis); --i)
    device /= axes[i].size;
  return device % axes[static_cast<size_t>(axis)].size;
}

std::string print(const Sharding& sharding) {
  std::vector<std::string> boxes;
  for (const Box& box : sharding.boxes)
    boxes.push_back(to_text(box));
  std::string text = fmt::format("{}", fmt::join(boxes, " | "));
  return sharding.combine == Combine::none
             ? text
             : fmt::format("{} {}", to_string(sharding.combine), text);
}

namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ')
    text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ')
    text.remove_suffix(1);
  return text;
}

/// The parts of `text` between `separator`s, without blanks around them.
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    size_t at = text.find(separator);
    parts.push_back(trimmed(text.substr(0, at)));
    if (at == text.npos)
      return parts;
    text.remove_prefix(at + 1);
  }
}

std::optional<Box> parse_box(std::string_view text) {
  if (text == "-")
    return Box{};
  if (text.size() < 2 || text.front() != '[' || text.back() != ']')
    return std::nullopt;
  Box box;
  for (std::string_view part : split(text.substr(1, text.size() - 2), ',')) {
    size_t colon = part.find(':');
    if (colon == part.npos)
      return std::nullopt;
    std::optional<int64_t> begin = integer_of(part.substr(0, colon));
    std::optional<int64_t> end = integer_of(part.substr(colon + 1));
    if (!begin || !end || *begin < 0 || *begin >= *end)
      return std::nullopt;
    box.push_back({*begin, *end});
  }
  return box;
}

} // namespace

std::optional<Sharding> parse_sharding(std::string_view text) {
  Sharding sharding;
  const std::string_view word = text.substr(0, text.find(' '));
  for (Combine combine : {Combine::sum, Combine::max})
    if (word == to_string(combine)) {
      sharding.combine = combine;
      text.remove_prefix(word.size());
    }
  size_t rank = 0;
  for (std::string_view part : split(text, '|')) {
    std::optional<Box> box = parse_box(part);
    if (!box || (!box->empty() && rank > 0 && box->size() != rank))
      return std::nullopt;
    rank = std::max(rank, box->size());
    sharding.boxes.push_back(std::move(*box));
  }
  return sharding;
}

} // namespace netc
