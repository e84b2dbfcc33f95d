#include "codegen/run_group.h"

#include <algorithm>
#include <limits>

namespace netc {

namespace {

using kernel::pixel_shape;
using kernel::PixelShape;

constexpr int64_t vector_channels = 4;
/// A value that a window reads is computed so many times for each of its pixels, at most.
constexpr int64_t most_times = 9;
/// All that is read and computed pixel by pixel.
std::vector<const Value*> values_of(const Group& group) {
  std::vector<const Value*> list;
  for (const Node* member : group.members) {
    for (const Value* operand : member->operands)
      if (operand->type.shape.size() > 1)
        list.push_back(operand);
    for (const auto& result : member->results)
      list.push_back(result.get());
  }
  return list;
}

/// Whether a window that reads other pixels reads what the node computes.
bool below_window(const Node& node, const Readers& readers) {
  for (const auto& result : node.results)
    if (auto it = readers.find(result.get()); it != readers.end())
      for (const Node* reader : it->second)
        if ((window_of(*reader) && window_of(*reader)->rows) || below_window(*reader, readers))
          return true;
  return false;
}

/// Whether what the group computes for a window is not computed too often.
bool repeats_little(const Group& group, const Node& window) {
  auto is_member = [&](const Node* node) {
    return std::find(group.members.begin(), group.members.end(), node) != group.members.end();
  };
  const PixelShape to = pixel_shape(window.result()->type.shape);
  for (const Value* operand : window.operands) {
    const PixelShape from = pixel_shape(operand->type.shape);
    if (is_member(operand->node) &&
        window_of(window)->taps(window) * to.h * to.w > most_times * from.h * from.w)
      return false;
  }
  return true;
}

/// The channels of a run; none where the kernel cannot count its elements, or images lie otherwise.
std::optional<int64_t> channels_of_run(const Group& group) {
  int64_t channels = vector_channels;
  for (const Value* value : values_of(group)) {
    const Shape& shape = value->type.shape;
    if (value->type.elements() > std::numeric_limits<int32_t>::max() ||
        (shape.size() == 4 && value->layout != Layout::nhwc && group.buffers.count(value)))
      return std::nullopt;
    if (pixel_shape(shape).c % vector_channels != 0)
      channels = 1;
  }
  return channels;
}

/// The block that suits the windows whose pixels are those of the group.
PixelBlock block_of(const Group& group, int64_t channels, int64_t busy_threads) {
  const PixelShape out = pixel_shape(group.members.back()->result()->type.shape);
  PixelBlock block;
  for (const Node* member : group.members) {
    const PixelLowering* window = window_of(*member);
    const PixelShape pixels = pixel_shape(member->result()->type.shape);
    if (window && window->block && pixels.h == out.h && pixels.w == out.w)
      block = window->block(*member);
  }
  const int64_t blocks = out.n * ((out.h + block.rows - 1) / block.rows) *
                         ((out.w + block.columns - 1) / block.columns);
  return blocks * (out.c / channels) < busy_threads ? PixelBlock{} : block;
}

/// How many blocks fill the threads of a warp best, of those whose arrays leave room in shared
/// memory for the warps of another block of threads; 0: not even one does.
int64_t tile_of(const RunPlan& plan, int64_t channels, int64_t shared_bytes) {
  const int64_t bytes = block_warps * shown_runs * plan.block.rows * plan.block.columns * channels *
                        byte_size(DType::f32);
  auto rounds = [&](int64_t tile) {
    return (tile * (channels / plan.channels) + warp_threads - 1) / warp_threads;
  };
  int64_t best = 0;
  for (int64_t tile : {1, 2, 4, 8})
    if (tile * bytes + reserved_shared_bytes <= shared_bytes / 2 &&
        (best == 0 || rounds(tile) * best < rounds(best) * tile)) // fewer a block
      best = tile;
  return best;
}

} // namespace

const PixelLowering* window_of(const Node& node) {
  return std::get_if<PixelLowering>(&node.op->lower);
}

Readers readers_of(const Group& group) {
  Readers readers;
  for (const Node* member : group.members)
    for (const Value* operand : member->operands)
      readers[operand].push_back(member);
  return readers;
}

std::optional<RunPlan> plan_runs(const Group& group, const LoweringOptions& options) {
  const std::optional<int64_t> channels = channels_of_run(group);
  if (!channels)
    return std::nullopt;
  RunPlan plan{.channels = *channels};
  int reaching = 0;
  for (const Node* member : group.members) {
    const PixelLowering* window = window_of(*member);
    if (!window)
      continue;
    if (!window->run || window->taps(*member) == 0 || !repeats_little(group, *member))
      return std::nullopt;
    reaching += window->reach != Reach::own;
    if (window->reach == Reach::shared)
      plan.sharing = member;
  }
  if (reaching > 1 || (plan.sharing && below_window(*plan.sharing, readers_of(group))))
    return std::nullopt;
  plan.block = block_of(group, plan.channels, options.busy_threads);
  if (plan.sharing) {
    const int64_t all = pixel_shape(group.members.back()->result()->type.shape).c;
    plan.tile = tile_of(plan, all, options.target.shared_bytes());
    if (plan.tile == 0) {
      plan.block = {};
      plan.tile = std::max<int64_t>(1, tile_of(plan, all, options.target.shared_bytes()));
    }
  }
  return plan;
}

} // namespace netc
