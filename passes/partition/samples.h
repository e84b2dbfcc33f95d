#pragma once
// Who holds what of the nodes that micro-batches add: it follows from who holds their operands.

#include "ir/share.h"

namespace netc {

/// slice_samples: every device takes what it holds of the samples, `held`.
NodeSharding share_slice(const Node& node, const Sharding& held);
/// join_samples where all devices have the same samples of all operands, held alike.
NodeSharding share_join(const Node& node, const Sharding& held);
/// join_samples, cut as its readers are: over the loop `batch`, on one device, or not at all.
/// Operands of which a device reads nothing have empty boxes there, and its node lacks them.
NodeSharding share_join(const Node& node, const NodeCut& cut, const Mesh& mesh);
/// A sum of operands that are held alike, partial sums included.
NodeSharding share_sum(const Node& node, const Sharding& held);

/// Whether the share gives just what it reads of its one operand.
bool copies_all(const Node& node, const NodeShare& share);

} // namespace netc
