#include "passes/partition/repeated.h"

#include "ir/ops.h"

#include <algorithm>

namespace netc {

namespace {

bool is_source(const Node& node) {
  return node.op == &ops::feed || node.op == &ops::parameter || node.op == &ops::constant;
}

/// The loop over samples for which the node is to be repeated, if it is.
std::optional<Factor> repeated_loop(const Node& node, const NodeCut& cut) {
  std::optional<Factor> batch = find_factor(node, "batch");
  const bool cuts_samples =
      std::any_of(cut.factors.begin(), cut.factors.end(),
                  [](const FactorCut& each) { return each.factor == "batch"; });
  const bool of_feeds =
      std::all_of(node.operands.begin(), node.operands.end(),
                  [](const Value* operand) { return operand->node->op == &ops::feed; });
  if (is_source(node) || cuts_samples || !batch ||
      (of_feeds && batch->kind == FactorKind::reduction))
    return std::nullopt;
  return batch;
}

} // namespace

Repeated::Repeated(const Graph& graph, const NodeCuts& cuts, const GradientOrigins& origins)
    : cuts_(cuts), origins_(origins) {
  for (const auto& node : graph.nodes) {
    auto cut = cuts.find(node.get());
    if (cut != cuts.end())
      if (std::optional<Factor> batch = repeated_loop(*node, cut->second)) {
        add(*node, *batch);
        continue;
      }
    if (std::any_of(node->operands.begin(), node->operands.end(),
                    [&](const Value* operand) { return behind(*operand->node); }))
      needing_.insert(node.get());
  }
}

bool Repeated::is_sum(const Value& value) const {
  return batch(*value.node).result_dims[static_cast<size_t>(value.index)] < 0;
}

void Repeated::add(const Node& node, const Factor& batch) {
  NETC_CHECK(samples_ == 0 || samples_ == batch.extent, "`{}` is of {} samples, others of {}",
             node.name, batch.extent, samples_);
  const int stage = stage_of(node);
  const bool backward = origins_.count(&node) > 0;
  samples_ = batch.extent;
  has_backward_ = has_backward_ || backward;
  factors_[&node] = batch;
  stage_[&node] = stage;
  for (auto& direction : nodes_)
    direction.resize(std::max(direction.size(), static_cast<size_t>(stage) + 1));
  nodes_[backward][static_cast<size_t>(stage)].push_back(&node);
}

/// A gradient's is that of its node, others are where what they read is, or behind.
int Repeated::stage_of(const Node& node) const {
  if (auto origin = origins_.find(&node); origin != origins_.end())
    if (auto stage = stage_.find(origin->second); stage != stage_.end())
      return stage->second;
  int latest = 0;
  for (const Value* operand : node.operands)
    if (auto stage = stage_.find(operand->node); stage != stage_.end()) {
      const bool elsewhere = cuts_.at(operand->node).only != cuts_.at(&node).only;
      latest = std::max(latest, stage->second + elsewhere);
    }
  return latest;
}

} // namespace netc
