#pragma once
// How a network is cut over devices, layer by layer: what strategy files say and the search writes.

#include "ir/support/diagnostics.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace netc {

/// How the devices share a layer's work.
enum class Cut {
  follow,  ///< As what the layer reads is cut.
  whole,   ///< Every device does all of it.
  data,    ///< Each does some samples.
  filter,  ///< Each does some output channels, or groups of them; features and classes, too.
  channel, ///< Each sums over some input channels; weighted layers only.
  spatial, ///< Each does some rows of the images.
  device,  ///< One device does all of it.
};
/// `whole`, `data`, `filter` ...
std::string_view to_string(Cut cut);
std::optional<Cut> parse_cut(std::string_view text);
/// The words of all cuts.
std::vector<std::string> cut_words();

struct LayerCut {
  Cut cut = Cut::follow;
  /// Of a weighted layer cut by `channel`: how its bias and what follows are cut.
  Cut then = Cut::follow;
  /// Where the layer's samples, channels or rows are cut: devices + 1 ascending numbers, from 0 to
  /// how many it has; a device between equal ones does nothing of it. Empty: evenly. Channels count
  /// over all groups.
  std::vector<int64_t> bounds{};
  int device = 0;   ///< Of `device`.
  Loc loc{};        ///< In the strategy file, if it is from one.
  Loc bounds_loc{}; ///< Of `bounds` there, if they are given.

  bool operator==(const LayerCut& other) const {
    return cut == other.cut && then == other.then && bounds == other.bounds &&
           device == other.device;
  }
};

/// For people: `data`, `device 1`, `channel, then filter`, `filter [0, 40, 96]`.
std::string describe(const LayerCut& cut);

/// As many logical devices a step may be cut over.
inline constexpr int64_t most_devices = 64;

/// In which order a step does its micro-batches.
enum class Schedule {
  gpipe,                    ///< All forward, then all backward.
  one_forward_one_backward, ///< Backward as soon as can be, which bounds how many are under way.
  round_robin, ///< The same order; each micro-batch has samples of every device's part.
};
/// `gpipe`, `1f1b`, `round-robin`.
std::string_view to_string(Schedule schedule);
std::optional<Schedule> parse_schedule(std::string_view text);
std::vector<std::string> schedule_words();

/// What is not cut by samples takes the batch in parts, one after the other. Gradients are summed
/// and weights updated once a step: it computes what it does with the whole batch.
struct MicroBatches {
  int count = 1; ///< 1: the batch is whole.
  Schedule schedule = Schedule::gpipe;
  Loc loc{}; ///< Of `count` in the strategy file, if it is given there.

  bool operator==(const MicroBatches& other) const {
    return count == other.count && schedule == other.schedule;
  }
};

struct Strategy {
  std::string name = "single";
  int devices = 1;
  std::map<std::string, LayerCut> layers{}; ///< By name; layers not in it follow what they read.
  bool sharded_update = false; ///< Devices that all hold a parameter update a part of it each.
  MicroBatches micro_batches{};

  bool operator==(const Strategy&) const = default;
};

/// The strategy as a strategy file, which parse_strategy of the frontend reads.
std::string print(const Strategy& strategy);

} // namespace netc
