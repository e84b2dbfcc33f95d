#pragma once
// Cutting a node over devices: the rules, derived from the factors of its operator.

#include "ir/op.h"

#include <optional>

namespace netc {

/// One loop of a node cut over the devices along an axis of the mesh: position i does iterations
/// [bounds[i], bounds[i + 1]).
struct FactorCut {
  std::string factor; ///< Name of one of the operator's factors.
  std::vector<int64_t> bounds;
  int axis = 0;
  bool operator==(const FactorCut&) const = default;
};

/// Who computes a node: all devices the whole of it, one device, or shares of loops.
struct NodeCut {
  /// At most one an axis. Devices along other axes do the same, but where that would add twice: of
  /// a loop that is summed over, the first along them does it alone. Empty: all compute everything.
  std::vector<FactorCut> factors{};
  int only = -1; ///< The one device that computes it; -1: no such device.
  bool operator==(const NodeCut&) const = default;
};

/// What one device does of a node.
struct NodeShare {
  Attributes attrs;
  std::vector<Box> operands; ///< What it reads, in indices of whole tensors.
  std::vector<Box> computed; ///< What it computes, which contains its part of the results.
  bool idle = false;         ///< It does nothing of the node.
};

/// A node cut over devices.
struct NodeSharding {
  std::vector<NodeShare> shares; ///< By device.
  std::vector<Sharding> results; ///< What devices have afterwards.
  std::string error;             ///< Why the node cannot be cut so, and how it can; else empty.
};
NodeSharding shard_node(const Node& node, const NodeCut& cut, const Mesh& mesh);

/// The factor of that name, if the operator has it.
std::optional<Factor> find_factor(const Node& node, std::string_view name);

} // namespace netc
