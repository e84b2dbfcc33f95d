#include "tests/support/interpret.h"

#include "ir/ops.h"
#include "tests/support/rounding.h"

#include <cmath>

namespace netc::test {

namespace {

using Values = std::unordered_map<const Value*, RefTensor>;

void compute_into(const Node& node, Values& values) {
  std::vector<const RefTensor*> operands;
  for (const Value* operand : node.operands)
    operands.push_back(&values.at(operand));
  std::vector<RefTensor> results = interpret_node(node, operands);
  for (size_t i = 0; i < results.size(); ++i) {
    if (node.results[i]->storage)
      for (double& element : results[i].data)
        element = std::bit_cast<float>(
            rounded_bits(static_cast<float>(element), *node.results[i]->storage));
    values[node.results[i].get()] = std::move(results[i]);
  }
}

std::vector<RefTensor> compute(const Node& node, const std::vector<const RefTensor*>& operands) {
  std::vector<RefTensor> results;
  for (const auto& result : node.results)
    results.push_back(
        {result->type, std::vector<double>(static_cast<size_t>(result->type.elements()))});
  NETC_CHECK(node.op->reference, "`{}` has no reference", node.op->name);
  RefContext context{node, operands, results};
  node.op->reference(context);
  return results;
}

std::vector<RefTensor> compute_body(const Graph& body,
                                    const std::vector<const RefTensor*>& operands) {
  Values values;
  for (const auto& node : body.nodes) {
    if (node->op == &ops::argument) {
      values[node->result()] = *operands.at(static_cast<size_t>(node->attrs.integer("index")));
      continue;
    }
    compute_into(*node, values);
  }
  std::vector<RefTensor> results;
  for (const Graph::Output& output : body.outputs)
    results.push_back(values.at(output.value));
  return results;
}

const RefTensor& input(const Value& value, const Tensors& inputs) {
  auto it = inputs.find(value.name);
  NETC_CHECK(it != inputs.end(), "no input `{}`", value.name);
  NETC_CHECK(it->second.type == value.type, "input `{}` is {}, expected {}", value.name,
             it->second.type.str(), value.type.str());
  return it->second;
}

} // namespace

std::vector<RefTensor> interpret_node(const Node& node,
                                      const std::vector<const RefTensor*>& operands) {
  return node.body ? compute_body(*node.body, operands) : compute(node, operands);
}

Values interpret(const Graph& graph, const Tensors& inputs) {
  Values values;
  for (const auto& node : graph.nodes) {
    if (node->op == &ops::feed || node->op == &ops::parameter) {
      values[node->result()] = input(*node->result(), inputs);
      continue;
    }
    compute_into(*node, values);
  }
  return values;
}

Tensors interpret_outputs(const Graph& graph, const Tensors& inputs) {
  Values values = interpret(graph, inputs);
  Tensors outputs;
  for (const Graph::Output& output : graph.outputs)
    outputs[output.name] = values.at(output.value);
  for (const Graph::Store& store : graph.stores)
    outputs[store.parameter->name] = values.at(store.value);
  return outputs;
}

double relative_error(const RefTensor& got, const RefTensor& want) {
  if (got.data.size() != want.data.size())
    return INFINITY;
  double difference = 0, norm = 0;
  for (size_t i = 0; i < want.data.size(); ++i) {
    difference += (got.data[i] - want.data[i]) * (got.data[i] - want.data[i]);
    norm += want.data[i] * want.data[i];
  }
  double error = std::sqrt(norm > 0 ? difference / norm : difference);
  return std::isfinite(error) ? error : INFINITY;
}

} // namespace netc::test
