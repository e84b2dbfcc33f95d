#pragma once
// The loops of an operator, and how they may be cut over devices.

#include "ir/attribute.h"
#include "ir/sharding.h"

namespace netc {

struct Node;

/// How a loop of an operator may be cut over devices.
enum class FactorKind { parallel, reduction, window, group };

/// One loop of an operator: its extent and the dimension it walks in each operand and result (-1
/// where it does not appear). Sharding rules derive from these.
struct Factor {
  std::string name;
  int64_t extent;
  FactorKind kind;
  std::vector<int> operand_dims;
  std::vector<int> result_dims;
  Combine combine = Combine::sum; ///< Of a reduction: how devices' results make up the whole.
};

/// A device's share of a node: some iterations of one of its loops. What it reads and computes
/// follows from the dimensions that the loop walks; an operator says what does not: halos, groups,
/// attributes.
struct ShareContext {
  const Node& node;
  const Factor& factor;
  Range range;       ///< The iterations, some of all.
  Attributes& attrs; ///< Of the device's node.
  std::vector<Box>& operands;
  std::vector<Box>& results; ///< What it computes, which may be more than its share.
  std::string error{};       ///< Why there is no such share, and which there are.
};

} // namespace netc
