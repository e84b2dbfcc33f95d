#pragma once
// Which part of a tensor each logical device holds, and the exchanges that bring a tensor from one
// such sharding into another.

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
  bool operator==(const Sharding&) const = default;
};

/// All of the tensor on every device.
Sharding replicated(const Shape& shape, int devices);
/// All of it on device `device` alone.
Sharding on_device(const Shape& shape, int devices, int device);
/// Cut along `dim`: device i holds [bounds[i], bounds[i + 1]).
Sharding cut_along(const Shape& shape, int dim, const std::vector<int64_t>& bounds);
/// `devices` + 1 offsets that cut [0, extent) as evenly as can be, the longer parts first.
std::vector<int64_t> even_bounds(int64_t extent, int devices);
/// For people: `whole`, `on 0`, `cut along channels [0, 48, 96]`, `partial sums` ...
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

/// The kinds of exchanges, named as everywhere.
enum class ExchangeKind {
  all_reduce,     ///< Partial results, combined on every device.
  reduce_scatter, ///< Partial results, each device gets the combined elements of its shard.
  reduce,         ///< Partial results, combined on one device.
  all_gather,     ///< Shards, put together on every device.
  all_to_all,     ///< Shards, cut another way.
  halo,           ///< Shards, which grow by what neighbours hold.
  gather,         ///< Shards, put together on one device.
  scatter,        ///< From one device, a shard for each.
  broadcast,      ///< From one device to all.
  send,           ///< From one device to another.
};
/// `all-reduce`, `reduce-scatter` ...
std::string_view to_string(ExchangeKind kind);

/// A tensor on its way from one sharding to another: every collective, and every message, is one.
/// All devices have the same exchanges in the same order.
struct Exchange {
  std::string name;  ///< Of the tensor.
  TensorType type{}; ///< Of all of it.
  Sharding from, to; ///< `to` holds no partial results.

  ExchangeKind kind() const;
  bool operator==(const Exchange&) const = default;
};

/// Elements that device `to` copies from device `from`.
struct Move {
  int from = 0;
  int to = 0;
  Box box;
  bool operator==(const Move&) const = default;
};

/// How an exchange runs. Devices pull: each takes what it lacks out of the memory of others, when
/// they are ready.
///
/// First, where there are partial results, device i combines `combined[i]` of all that hold it, in
/// the order of devices as a binary tree, ((0 + 1) + (2 + 3)) ...: the sum has the bits of a sum
/// over all that was cut in blocks. Then come the moves: out of the sources, or, where there were
/// partial results, out of what others have combined. Devices that want the same elements thus
/// share the work of combining them, a chunk each, unless that is not worth a second message.
struct ExchangeSteps {
  std::vector<Box> combined; ///< By device; all empty without partial results.
  std::vector<Move> moves;   ///< `from` == `to`: out of the device's own source.
};
ExchangeSteps steps_of(const Exchange& exchange);

/// Bytes that device `from` sends to device `to`: [from][to].
std::vector<std::vector<int64_t>> bytes_sent(const Exchange& exchange);

/// The text forms: `[0:64, 0:3] | [64:128, 0:3]`, `sum [0:10] | [0:10]`; an empty box is `-`.
std::string print(const Sharding& sharding);
/// Nothing when the text is malformed.
std::optional<Sharding> parse_sharding(std::string_view text);

} // namespace netc
