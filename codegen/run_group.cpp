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
/// Floats that threads may show one another for a pixel of a warp, at most, in blocks.
constexpr int64_t most_shown = 2048;

const PixelLowering* window_of(const Node& node) {
  return std::get_if<PixelLowering>(&node.op->lower);
}

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
PixelBlock block_of(const Group& group, const RunPlan& plan, int64_t busy_threads) {
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
  const bool few = blocks * (out.c / plan.channels) < busy_threads;
  const bool much = plan.sharing && block.rows * block.columns * out.c > most_shown;
  return few || much ? PixelBlock{} : block;
}

} // namespace

Readers readers_of(const Group& group) {
  Readers readers;
  for (const Node* member : group.members)
    for (const Value* operand : member->operands)
      readers[operand].push_back(member);
  return readers;
}

std::optional<RunPlan> plan_runs(const Group& group, int64_t busy_threads) {
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
  plan.block = block_of(group, plan, busy_threads);
  return plan;
}

} // namespace netc
