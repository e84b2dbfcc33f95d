#pragma once
// The passes, in pipeline order. Each is defined in the file of its name.

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
int fuse_windows(Graph& graph, PassContext& context);
int fuse_epilogue(Graph& graph, PassContext& context);
int fuse_updates(Graph& graph, PassContext& context);
int order_nodes(Graph& graph, PassContext& context);
int plan_memory(Graph& graph, PassContext& context);

} // namespace netc
