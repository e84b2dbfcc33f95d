// Reverse-mode differentiation: walks the forward nodes backwards, asks each operator's vjp for the
// cotangents of its operands, and appends the update of every trainable parameter. A whole training
// step is then one graph.

#include "ir/ops.h"
#include "passes/passes.h"

#include <unordered_set>

namespace netc {

namespace {

using ValueSet = std::unordered_set<const Value*>;

/// Values that depend on a trainable parameter.
ValueSet differentiable_values(const Graph& graph) {
  ValueSet active;
  for (const auto& node : graph.nodes) {
    bool is_active = node->op == &ops::parameter && node->attrs.flag("trainable");
    for (const Value* operand : node->operands)
      is_active = is_active || active.count(operand);
    if (is_active)
      for (const auto& result : node->results)
        if (result->type.dtype == DType::f32)
          active.insert(result.get());
  }
  return active;
}

class Differentiator {
public:
  Differentiator(Graph& graph, GradientOrigins& origins)
      : graph_(graph), active_(differentiable_values(graph)), origins_(origins) {}

  /// Appends the gradient nodes of `loss`; afterwards `gradient` answers for parameters.
  void run(Value* loss) {
    GraphBuilder builder(graph_, loss->node->loc);
    cotangent_[loss] = builder.value(ops::constant, loss->name + ".one", {},
                                     {{"value", 1.0}, {"shape", std::vector<int64_t>{1}}});
    for (size_t i = graph_.nodes.size() - 1; i-- > 0;) {
      const size_t before = graph_.nodes.size();
      visit(*graph_.nodes[i]);
      for (size_t made = before; made < graph_.nodes.size(); ++made)
        origins_.emplace(graph_.nodes[made].get(), graph_.nodes[i].get());
    }
  }

  Value* gradient(const Value* value) const {
    auto it = cotangent_.find(value);
    return it == cotangent_.end() ? nullptr : it->second;
  }

private:
  void visit(const Node& node) {
    std::vector<Value*> cotangents;
    bool reached = false, wanted_any = false;
    for (const auto& result : node.results) {
      cotangents.push_back(gradient(result.get()));
      reached = reached || cotangents.back();
    }
    auto wanted = std::make_unique<bool[]>(node.operands.size()); // vector<bool> has no span
    for (size_t i = 0; i < node.operands.size(); ++i) {
      wanted[i] = active_.count(node.operands[i]) > 0;
      wanted_any = wanted_any || wanted[i];
    }
    if (!reached || !wanted_any)
      return;
    NETC_CHECK(node.op->vjp && cotangents[0], "`{}` ({}) is not differentiable", node.name,
               node.op->name);
    GraphBuilder builder(graph_, node.loc);
    VjpContext context{builder, node, cotangents, {wanted.get(), node.operands.size()}};
    std::vector<Value*> gradients = node.op->vjp(context);
    for (size_t i = 0; i < gradients.size(); ++i)
      if (gradients[i] && wanted[i])
        accumulate(*node.operands[i], gradients[i]);
  }

  /// The sum is of the node whose value it is the gradient of, not of the readers that it is over.
  void accumulate(const Value& value, Value* gradient) {
    Value*& sum = cotangent_[&value];
    if (sum) {
      GraphBuilder builder(graph_, value.node->loc);
      gradient = builder.value(ops::add, value.name + ".grad_sum", {sum, gradient});
      origins_[gradient->node] = value.node;
    }
    sum = gradient;
  }

  Graph& graph_;
  ValueSet active_;
  GradientOrigins& origins_;
  std::unordered_map<const Value*, Value*> cotangent_;
};

void append_update(Graph& graph, const Node& parameter, Value* gradient, Value* rate,
                   const OptimizerSpec& optimizer) {
  GraphBuilder builder(graph, parameter.loc, graph.nodes.front().get());
  Value* w = parameter.result();
  Value* v = builder.value(ops::parameter, w->name + ".momentum", {},
                           {{"shape", std::vector<int64_t>(w->type.shape)},
                            {"dtype", std::string("f32")},
                            {"init", std::string("constant")},
                            {"trainable", false}});
  GraphBuilder end(graph, parameter.loc);
  Node* update = end.apply(ops::sgd_update, w->name + ".update", {w, gradient, v, rate},
                           {{"momentum", optimizer.momentum},
                            {"decay", optimizer.decay * parameter.attrs.real("decay")},
                            {"rate", parameter.attrs.real("rate")}});
  graph.stores.push_back({w, update->result(0)});
  graph.stores.push_back({v, update->result(1)});
}

} // namespace

int autodiff(Graph& graph, PassContext& context) {
  if (context.mode != Mode::train)
    return 0;
  Value* loss = nullptr;
  for (const Graph::Output& output : graph.outputs)
    if (output.name == "loss")
      loss = output.value;
  if (!loss)
    user_error(fmt::format("the network `{}` has no loss to train on", graph.name),
               "end its layers with `{name: loss, type: softmax_cross_entropy}`");
  std::vector<Node*> parameters;
  for (const auto& node : graph.nodes)
    if (node->op == &ops::parameter && node->attrs.flag("trainable"))
      parameters.push_back(node.get());
  Differentiator differentiator(graph, context.origins);
  differentiator.run(loss);
  GraphBuilder builder(graph);
  Value* rate = builder.value(ops::feed, "rate", {}, {{"shape", std::vector<int64_t>{1}}});
  int updates = 0;
  for (Node* parameter : parameters)
    if (Value* gradient = differentiator.gradient(parameter->result())) {
      append_update(graph, *parameter, gradient, rate, context.optimizer);
      ++updates;
    }
  return updates;
}

} // namespace netc
