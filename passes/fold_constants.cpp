// A node all of whose operands are constants, and whose result is uniform, is a constant.

#include "ir/ops.h"
#include "passes/passes.h"

#include <algorithm>

namespace netc {

namespace {

/// Larger tensors are not worth computing twice: once here, once in the constant they become.
constexpr int64_t largest_folded = 1 << 16;

/// The one value of all elements of the node's result, if it can be computed.
std::optional<double> uniform_value(const Node& node) {
  if (!node.op->reference || node.results.size() != 1 || node.operands.empty() ||
      node.result()->type.dtype != DType::f32 || node.result()->type.elements() > largest_folded)
    return std::nullopt;
  std::vector<RefTensor> operands;
  for (const Value* operand : node.operands) {
    if (operand->node->op != &ops::constant || operand->type.elements() > largest_folded)
      return std::nullopt;
    operands.push_back(
        {operand->type, std::vector<double>(static_cast<size_t>(operand->type.elements()),
                                            operand->node->attrs.real("value"))});
  }
  std::vector<const RefTensor*> pointers;
  for (const RefTensor& operand : operands)
    pointers.push_back(&operand);
  std::vector<RefTensor> results = {{node.result()->type, std::vector<double>(static_cast<size_t>(
                                                              node.result()->type.elements()))}};
  RefContext context{node, pointers, results};
  node.op->reference(context);
  const std::vector<double>& data = results[0].data;
  bool uniform = std::all_of(data.begin(), data.end(), [&](double x) { return x == data[0]; });
  return uniform ? std::optional<double>(data[0]) : std::nullopt;
}

} // namespace

int fold_constants(Graph& graph, PassContext& context) {
  int rewrites = 0;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    Node& node = *graph.nodes[i];
    std::optional<double> value = uniform_value(node);
    if (!value || !context.may_rewrite())
      continue;
    GraphBuilder builder(graph, node.loc, &node);
    Value* folded = builder.value(
        ops::constant, node.name, {},
        {{"value", *value}, {"shape", std::vector<int64_t>(node.result()->type.shape)}});
    std::string name = node.name;
    graph.replace_uses(node.result(), folded);
    graph.remove_if([&](const Node& n) { return &n == &node; });
    folded->name = folded->node->name = name;
    ++rewrites;
  }
  return rewrites;
}

} // namespace netc
