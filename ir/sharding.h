#pragma once
// Which part of a tensor each logical device holds.

#include "ir/dtype.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace netc {

/// Indices [begin, end) of one dimension.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t extent() const { return end - begin; }
  bool empty() const { return end <= begin; }
  bool operator==(const Range&) const = default;
};

/// A part of a tensor: a range of each dimension. A box without ranges, or with an empty one, is
/// empty.
using Box = std::vector<Range>;

bool is_empty(const Box& box);
int64_t elements(const Box& box);
Shape shape_of(const Box& box);
/// All of a tensor.
Box whole_box(const Shape& shape);
/// What both hold; empty when that is nothing.
Box intersect(const Box& a, const Box& b);
/// The smallest box that holds both; the other one where one is empty.
Box hull(const Box& a, const Box& b);
/// Whether `outer` holds all of `inner`; every box holds an empty one.
bool contains(const Box& outer, const Box& inner);
/// `inner` as indices of a tensor that holds `outer` alone.
Box relative(const Box& inner, const Box& outer);
/// `outer` without `inner`, which it contains, in boxes that do not overlap.
std::vector<Box> difference(const Box& outer, const Box& inner);
/// `[0:64, 0:3]`; `-` when it is empty.
std::string to_text(const Box& box);

/// How devices' values make up an element.
enum class Combine {
  none, ///< Each device that holds it has it.
  sum,  ///< It is the sum of those that devices have.
  max,  ///< It is the largest of those that devices have.
};
/// `none`, `sum`, `max`.
std::string_view to_string(Combine combine);

/// Where a tensor is: the box that each logical device holds. With `combine` other than none,
/// devices hold partial results. Bounds are explicit, so shards may be uneven, and empty on
/// devices that take no part.
struct Sharding {
  std::vector<Box> boxes; ///< By device.
  Combine combine = Combine::none;

  int devices() const { return static_cast<int>(boxes.size()); }
  const Box& at(int device) const { return boxes[static_cast<size_t>(device)]; }
  /// Devices that hold anything.
  std::vector<int> holders() const;
  /// Whether no two devices hold the same elements.
  bool disjoint() const;
  /// Whether all that hold anything hold the same box.
  bool alike() const;
  /// Whether several devices hold partial results.
  bool partial() const;
  bool operator==(const Sharding&) const = default;
};

/// All of the tensor on every device.
Sharding replicated(const Shape& shape, int devices);
/// All of it on device `device` alone.
Sharding on_device(const Shape& shape, int devices, int device);
/// Cut along `dim`: device i holds [bounds[i], bounds[i + 1]).
Sharding cut_along(const Shape& shape, int dim, const std::vector<int64_t>& bounds);
/// What several devices hold, each the same box, cut evenly among them along its first dimension.
Sharding cut_among_holders(const Sharding& alike);
/// `devices` + 1 offsets that cut [0, extent) as evenly as can be, the longer parts first.
std::vector<int64_t> even_bounds(int64_t extent, int devices);
/// For people: `whole`, `whole on 0`, `partial sums`, `dim 1: 0:48 | 48:96`, `elements: 0:5 | -`,
/// `boxes: [0:2, 0:2] | [2:6, 2:4]` ... Dimensions have no names, as those of weights have others.
std::string describe(const Sharding& sharding, const Shape& shape);

/// The logical devices of a plan as a grid; device numbers count along the last axis first.
struct Mesh {
  struct Axis {
    std::string name;
    int size = 1;
  };
  std::vector<Axis> axes;

  static Mesh line(int devices) { return {{{"x", devices}}}; }
  int devices() const;
  /// Where `device` is along `axis`.
  int position(int device, int axis) const;
};

/// The text forms: `[0:64, 0:3] | [64:128, 0:3]`, `sum [0:10] | [0:10]`; an empty box is `-`.
std::string print(const Sharding& sharding);
/// Nothing when the text is malformed.
std::optional<Sharding> parse_sharding(std::string_view text);

} // namespace netc
