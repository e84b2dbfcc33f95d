#pragma once
// A step in micro-batches: a rewrite of the whole graph, before it is cut over devices.

#include "passes/partition/partition.h"

namespace netc {

/// A step whose nodes have an order that later passes must keep, and their cuts.
struct MicroBatchedStep {
  Graph graph;
  /// Of all nodes but updates, and but those that micro-batches add and that do what they do where
  /// their operands are: slices of samples, sums, some joins of samples.
  NodeCuts cuts;
};

/// How many micro-batches a batch is done in: as many as the strategy wants, but not more than
/// there are samples, and in exact plans not more than sums have blocks. Where a strategy file asks
/// for more, a UserError.
int micro_batch_count(const Strategy& strategy, int64_t batch, bool exact);

/// Repeats what has a loop over the samples that no device cuts, once a micro-batch, in the order
/// of the schedule. Whoever reads samples of the rest gets slices of them; samples are joined for
/// the rest, and partial sums are added: in exact plans as a binary tree in the order of the
/// samples, which has the bits of the sum over the batch where its blocks stay whole.
MicroBatchedStep micro_batch(const Graph& graph, const NodeCuts& cuts, const Strategy& strategy,
                             const GradientOrigins& origins, bool exact);

} // namespace netc
