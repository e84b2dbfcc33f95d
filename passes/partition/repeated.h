#pragma once
// What micro-batches repeat, and in which order it may go.

#include "passes/partition/partition.h"

#include <array>
#include <unordered_set>

namespace netc {

/// The repeated nodes of a step: those that have a loop over the samples that no device cuts. Not
/// among them are sums over what the host feeds, which cost nothing.
///
/// They belong to stages: along the layers, one ends where the work goes to another device.
class Repeated {
public:
  /// Borrows all of them.
  Repeated(const Graph& graph, const NodeCuts& cuts, const GradientOrigins& origins);

  bool has(const Node& node) const { return factors_.count(&node) > 0; }
  /// The loop over samples of a repeated node.
  const Factor& batch(const Node& node) const { return factors_.at(&node); }
  /// Whether a value of a repeated node is a sum over the samples.
  bool is_sum(const Value& value) const;
  /// Whether the node is repeated or needs what is.
  bool behind(const Node& node) const { return has(node) || needing_.count(&node) > 0; }

  int64_t samples() const { return samples_; } ///< Of the batch; 0 where nothing is repeated.
  int stages() const { return static_cast<int>(nodes_[0].size()); }
  bool has_backward() const { return has_backward_; }
  /// In the order of the graph.
  const std::vector<const Node*>& nodes(int stage, bool backward) const {
    return nodes_[backward].at(static_cast<size_t>(stage));
  }

private:
  void add(const Node& node, const Factor& batch);
  int stage_of(const Node& node) const;

  const NodeCuts& cuts_;
  const GradientOrigins& origins_;
  std::unordered_map<const Node*, Factor> factors_;
  std::unordered_map<const Node*, int> stage_;
  std::unordered_set<const Node*> needing_;
  std::array<std::vector<std::vector<const Node*>>, 2> nodes_; ///< [backward][stage]
  int64_t samples_ = 0;
  bool has_backward_ = false;
};

} // namespace netc
