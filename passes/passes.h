#pragma once
// The passes, in pipeline order, and what is called by others. Each is defined in the file of its
// name.

#include "passes/pass.h"

namespace netc {

int canonicalize(Graph& graph, PassContext& context);
int fold_constants(Graph& graph, PassContext& context);
int eliminate_common_subexpressions(Graph& graph, PassContext& context);
int eliminate_dead_code(Graph& graph, PassContext& context);
int autodiff(Graph& graph, PassContext& context);
int space_to_depth(Graph& graph, PassContext& context);
int assign_precision(Graph& graph, PassContext& context);
int assign_layouts(Graph& graph, PassContext& context);
int partition(Graph& graph, PassContext& context);
int fuse_windows(Graph& graph, PassContext& context);
int fuse_epilogue(Graph& graph, PassContext& context);
int fuse_updates(Graph& graph, PassContext& context);
int assign_storage(Graph& graph, PassContext& context);
int fuse_bias_gradients(Graph& graph, PassContext& context);
int order_nodes(Graph& graph, PassContext& context);
int plan_memory(Graph& graph, PassContext& context);

/// No pass of the pipeline: replaces softmax_cross_entropy, its gradient and topk_accuracy of an
/// unfused graph by parts whose loops may be cut over devices (`loss.max`, `loss.sum`, `top1.rank`
/// ...). What they computed keeps its names. Returns how many nodes it replaced.
int split_head(Graph& graph);

} // namespace netc
