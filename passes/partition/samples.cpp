#include "passes/partition/samples.h"

#include "ir/ops.h"

#include <algorithm>

namespace netc {

namespace {

using Ints = std::vector<int64_t>;

NodeShare idle_share(const Node& node) {
  return {{}, std::vector<Box>(node.operands.size()), {Box{}}, true};
}

/// The part of a slice that lies within `box` of the operand.
NodeShare slice_of(const Node& node, const Box& box) {
  const Ints& ranges = node.attrs.integers("ranges");
  Ints own;
  Range result; // ranges ascend, so that the samples lie together
  int64_t at = 0;
  for (size_t i = 0; !is_empty(box) && i < ranges.size(); i += 2) {
    const Range part{std::max(ranges[i], box[0].begin), std::min(ranges[i + 1], box[0].end)};
    if (!part.empty()) {
      const int64_t begin = at + part.begin - ranges[i];
      result = {own.empty() ? begin : result.begin, begin + part.extent()};
      own.insert(own.end(), {part.begin - box[0].begin, part.end - box[0].begin});
    }
    at += ranges[i + 1] - ranges[i];
  }
  if (own.empty())
    return idle_share(node);
  NodeShare share{node.attrs, {box}, {box}, false};
  share.attrs.set("ranges", own);
  share.computed[0][0] = result;
  return share;
}

/// The part of a join that is `samples` of the result, with `rest` of the other dimensions.
NodeShare join_of(const Node& node, const Range& samples, Box rest) {
  const Ints& runs = node.attrs.integers("runs");
  NodeShare share = idle_share(node);
  Ints taken(node.operands.size(), 0), own;
  int64_t at = 0;
  for (size_t i = 0; i < runs.size(); i += 2) {
    const size_t operand = static_cast<size_t>(runs[i]);
    const Range part = {std::max(at, samples.begin), std::min(at + runs[i + 1], samples.end)};
    if (!part.empty()) {
      const int64_t begin = taken[operand] + part.begin - at;
      rest[0] = {begin, begin + part.extent()};
      share.operands[operand] = hull(share.operands[operand], rest);
      own.insert(own.end(), {runs[i], part.extent()});
    }
    taken[operand] += runs[i + 1];
    at += runs[i + 1];
  }
  int64_t missing = 0; // operands are counted without those that the device lacks
  for (size_t operand = 0; operand < share.operands.size(); ++operand) {
    for (size_t i = 0; i < own.size(); i += 2)
      if (own[i] == static_cast<int64_t>(operand))
        own[i] -= missing;
    missing += is_empty(share.operands[operand]);
  }
  rest[0] = samples;
  share.attrs = node.attrs;
  share.attrs.set("runs", own);
  share.computed[0] = rest;
  share.idle = false;
  return share;
}

NodeSharding with_results(std::vector<NodeShare> shares, Combine combine) {
  Sharding result{{}, combine};
  for (const NodeShare& share : shares)
    result.boxes.push_back(share.computed[0]);
  return {std::move(shares), {std::move(result)}, ""};
}

} // namespace

NodeSharding share_slice(const Node& node, const Sharding& held) {
  std::vector<NodeShare> shares;
  for (const Box& box : held.boxes)
    shares.push_back(slice_of(node, box));
  return with_results(std::move(shares), held.combine);
}

NodeSharding share_join(const Node& node, const Sharding& held) {
  const Range all{0, node.result()->type.shape[0]};
  std::vector<NodeShare> shares;
  for (const Box& box : held.boxes)
    shares.push_back(is_empty(box) ? idle_share(node) : join_of(node, all, box));
  return with_results(std::move(shares), held.combine);
}

NodeSharding share_join(const Node& node, const NodeCut& cut, const Mesh& mesh) {
  const Box whole = whole_box(node.result()->type.shape);
  std::vector<NodeShare> shares;
  for (int d = 0; d < mesh.devices(); ++d) {
    Range samples = whole[0];
    if (!cut.factors.empty()) {
      const size_t at = static_cast<size_t>(mesh.position(d, cut.factors[0].axis));
      samples = {cut.factors[0].bounds[at], cut.factors[0].bounds[at + 1]};
    }
    const bool idle = samples.empty() || (cut.only >= 0 && cut.only != d);
    shares.push_back(idle ? idle_share(node) : join_of(node, samples, whole));
  }
  return with_results(std::move(shares), Combine::none);
}

NodeSharding share_sum(const Node& node, const Sharding& held) {
  std::vector<NodeShare> shares;
  for (const Box& box : held.boxes)
    shares.push_back(
        is_empty(box)
            ? idle_share(node)
            : NodeShare{node.attrs, std::vector<Box>(node.operands.size(), box), {box}, false});
  return with_results(std::move(shares), held.combine);
}

bool copies_all(const Node& node, const NodeShare& share) {
  if (node.op == &ops::slice_samples)
    return share.operands[0][0].extent() == share.computed[0][0].extent();
  return node.op == &ops::join_samples &&
         std::count_if(share.operands.begin(), share.operands.end(), is_empty) + 1 ==
             static_cast<int64_t>(share.operands.size());
}

} // namespace netc
