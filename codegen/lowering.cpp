#include "codegen/lowering.h"

#include "codegen/candidates.h"
#include "codegen/group.h"
#include "ir/ops.h"

namespace netc {

int64_t LoweredNode::workspace_bytes() const {
  int64_t bytes = 0;
  for (int64_t workspace : workspaces)
    bytes += (workspace + 63) / 64 * 64;
  return bytes;
}

namespace {

/// A kernel that an operator built whole: its params are operands, results and workspaces in order.
LoweredNode whole_kernel(const Node& node, const Group& group, const LoweringOptions& options) {
  const auto& lowering = std::get<KernelLowering>(node.op->lower);
  const bool gpu = options.target.has_cuda_text() && !options.exact && lowering.for_gpu;
  LoweredNode lowered{{}, {}, {}, (gpu ? lowering.for_gpu : lowering.kernel)(node), {}};
  verify(lowered.kernel);
  lowered.operands.assign(node.operands.begin(), node.operands.end());
  lowered.results = group.results;
  size_t buffers = lowered.operands.size() + lowered.results.size();
  for (size_t i = 0; i < buffers; ++i)
    lowered.kernel.params[i].type.dtype =
        (i < lowered.operands.size() ? lowered.operands[i]
                                     : lowered.results[i - lowered.operands.size()])
            ->stored()
            .dtype;
  for (size_t i = buffers; i < lowered.kernel.params.size(); ++i) {
    NETC_CHECK(lowered.kernel.params[i].access == kernel::Access::workspace,
               "`{}` has a parameter too many", node.name);
    lowered.workspaces.push_back(lowered.kernel.params[i].type.bytes());
  }
  return lowered;
}

} // namespace

LoweredNode lower(const Node& node, const std::function<bool(const Value&)>& is_used,
                  const LoweringOptions& options) {
  Group group = make_group(node, is_used);
  NETC_CHECK(!group.members.empty(), "`{}` computes nothing", node.name);
  const OpDef& first = *group.members.front()->op;
  if (first.is_contraction())
    return lower_contraction(node, group, options);
  if (std::holds_alternative<KernelLowering>(first.lower))
    return whole_kernel(node, group, options);
  if (first.is_update())
    return {group.operands,
            group.results,
            {},
            lower_updates(group, node.name, options.target.has_cuda_text()),
            {}};
  NETC_CHECK(!std::holds_alternative<std::monostate>(first.lower), "`{}` ({}) has no lowering",
             node.name, first.name);
  return {group.operands, group.results, {}, lower_pixels(group, node.name, options), {}};
}

} // namespace netc
