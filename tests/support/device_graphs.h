#pragma once
// Graphs of several devices, written by hand, as plans.

#include "codegen/program_builder.h"
#include "ir/exchange.h"
#include "ir/ops.h"
#include "ir/plan.h"
#include "passes/passes.h"

namespace netc::test {

/// Adds a device's node of an exchange; `operands` as the operator says.
inline Node* add_exchange(Graph& graph, int device, const Exchange& exchange,
                          std::vector<Value*> operands) {
  Node* node = GraphBuilder(graph).apply(ops::exchange, exchange.name, std::move(operands),
                                         {{"shape", exchange.type.shape},
                                          {"dtype", std::string(to_string(exchange.type.dtype))},
                                          {"from", print(exchange.from)},
                                          {"to", print(exchange.to)},
                                          {"device", int64_t{device}}});
  node->name = exchange.name; // alike on all devices, whatever other values are called
  return node;
}

inline Attributes type_of(const TensorType& type) {
  return {{"shape", type.shape}, {"dtype", std::string(to_string(type.dtype))}};
}

/// A feed or parameter that is `box` of a tensor of shape `whole`.
inline Value* add_part(Graph& graph, const OpDef& op, const std::string& name, const Shape& whole,
                       const Box& box, DType dtype = DType::f32) {
  Attributes attrs = type_of({dtype, shape_of(box)});
  if (shape_of(box) != whole) {
    std::vector<int64_t> at;
    for (const Range& range : box)
      at.push_back(range.begin);
    attrs.set("whole", whole);
    attrs.set("at", at);
  }
  return GraphBuilder(graph).value(op, name, {}, std::move(attrs));
}

/// Appends the program of each device's graph to a plan, after layouts (`nhwc`), order and memory.
/// The kernels they need join `kernels`.
inline void add_programs(Plan& plan, std::vector<Graph>& graphs, const std::string& name, bool nhwc,
                         KernelSet& kernels, const LoweringOptions& lowering = {}) {
  plan.devices = static_cast<int>(graphs.size());
  std::vector<const Graph*> all;
  for (size_t i = 0; i < graphs.size(); ++i) {
    PassContext context;
    context.target = lowering.target;
    context.workspace_bytes = [&](const Node& node) -> int64_t {
      if (std::holds_alternative<std::monostate>(node.op->lower) && !node.body)
        return 0;
      return lower(
                 node, [](const Value&) { return true; }, lowering)
          .workspace_bytes();
    };
    assign_precision(graphs[i], context);
    if (nhwc)
      assign_layouts(graphs[i], context);
    order_nodes(graphs[i], context);
    verify(graphs[i]);
    plan_memory(graphs[i], context);
    plan.programs.push_back(
        build_program(graphs[i], context.memory, name, lowering, kernels, static_cast<int>(i)));
    verify(plan.programs.back());
    all.push_back(&graphs[i]);
  }
  plan.state = state_of(all);
}

} // namespace netc::test
