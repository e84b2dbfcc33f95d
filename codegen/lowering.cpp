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
  lowered.operands.assign(node.operands.begin(), node.operands.end());
  lowered.results = group.results;
  size_t buffers = lowered.operands.size() + lowered.results.size();
  for (size_t i = buffers; i < lowered.kernel.params.size(); ++i) {
    NETC_CHECK(lowered.kernel.params[i].access == kernel::Access::workspace,
               "`{}` has a parameter too many", node.name);
    lowered.workspaces.push_back(lowered.kernel.params[i].type.bytes());
  }
  return lowered;
}

kernel::Expr rename(const kernel::Expr& e, const std::unordered_map<std::string, std::string>& to) {
  if (!e)
    return e;
  auto copy = std::make_shared<kernel::ExprNode>(*e.node);
  if (auto it = to.find(copy->name); it != to.end() && copy->kind == kernel::ExprKind::load)
    copy->name = it->second;
  for (kernel::Expr& arg : copy->args)
    arg = rename(arg, to);
  kernel::Expr renamed;
  renamed.node = std::move(copy);
  return renamed;
}

kernel::Stmt rename(const kernel::Stmt& s, const std::unordered_map<std::string, std::string>& to) {
  auto copy = std::make_shared<kernel::StmtNode>(*s);
  if (auto it = to.find(copy->name); it != to.end() && copy->kind == kernel::StmtKind::store)
    copy->name = it->second;
  copy->lo = rename(copy->lo, to), copy->hi = rename(copy->hi, to), copy->a = rename(copy->a, to);
  for (kernel::Expr& index : copy->indices)
    index = rename(index, to);
  for (kernel::Stmt& child : copy->body)
    child = rename(child, to);
  return copy;
}

/// Updates share nothing but their reads, so their kernels follow each other without a barrier.
LoweredNode lower_updates(const Node& node, const Group& group) {
  LoweredNode lowered{group.operands, group.results, {}, {}, {}};
  lowered.kernel.name = node.name;
  std::unordered_map<std::string, kernel::Param> params;
  for (const Node* member : group.members) {
    kernel::Kernel part = std::get<KernelLowering>(member->op->lower).kernel(*member);
    std::unordered_map<std::string, std::string> names;
    for (size_t i = 0; i < part.params.size(); ++i) {
      const Value* value = i < member->operands.size()
                               ? member->operands[i]
                               : member->result(static_cast<int>(i - member->operands.size()));
      names[part.params[i].name] = group.buffers.at(value);
      part.params[i].name = group.buffers.at(value);
      params[part.params[i].name] = part.params[i];
    }
    for (const kernel::Stmt& stmt : part.body)
      lowered.kernel.body.push_back(rename(stmt, names));
  }
  for (const kernel::Param& param : group_params(group))
    lowered.kernel.params.push_back(params.at(param.name));
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
    return node.body ? lower_updates(node, group) : whole_kernel(node, group, options);
  NETC_CHECK(!std::holds_alternative<std::monostate>(first.lower), "`{}` ({}) has no lowering",
             node.name, first.name);
  return {group.operands, group.results, {}, lower_pixels(group, node.name), {}};
}

} // namespace netc
