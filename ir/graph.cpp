#include "ir/graph.h"

#include "ir/op.h"

#include <algorithm>
#include <unordered_set>

namespace netc {

bool Node::is(std::string_view op_name) const {
  return op->name == op_name;
}

std::string Graph::unique_name(const std::string& base) {
  auto [it, fresh] = taken_.try_emplace(base, 1);
  if (fresh)
    return base;
  for (;;) {
    std::string candidate = fmt::format("{}.{}", base, ++it->second);
    if (taken_.try_emplace(candidate, 1).second)
      return candidate;
    it = taken_.find(base);
  }
}

Node* Graph::add(const OpDef& op, std::string node_name, std::vector<Value*> operands,
                 Attributes attrs, std::vector<TensorType> types, Loc loc, const Node* before) {
  auto node = std::make_unique<Node>();
  node->op = &op;
  node->operands = std::move(operands);
  node->attrs = std::move(attrs);
  node->loc = std::move(loc);
  for (size_t i = 0; i < types.size(); ++i) {
    auto value = std::make_unique<Value>();
    value->node = node.get();
    value->index = static_cast<int>(i);
    value->type = std::move(types[i]);
    std::string suffix = i < op.results.size() ? op.results[i].name : fmt::format("result{}", i);
    value->name = unique_name(i == 0 || suffix.empty() ? node_name : node_name + "." + suffix);
    node->results.push_back(std::move(value));
  }
  node->name = node->results.empty() ? std::move(node_name) : node->results[0]->name;
  Node* raw = node.get();
  auto at = before ? std::find_if(nodes.begin(), nodes.end(),
                                  [&](const auto& n) { return n.get() == before; })
                   : nodes.end();
  nodes.insert(at, std::move(node));
  return raw;
}

Value* Graph::find(std::string_view value_name) const {
  for (const auto& node : nodes)
    for (const auto& value : node->results)
      if (value->name == value_name)
        return value.get();
  return nullptr;
}

void Graph::replace_uses(const Value* from, Value* to) {
  for (const auto& node : nodes)
    std::replace(node->operands.begin(), node->operands.end(), const_cast<Value*>(from), to);
  for (Output& output : outputs)
    if (output.value == from)
      output.value = to;
  for (Store& store : stores)
    if (store.value == from)
      store.value = to;
}

std::unordered_map<const Value*, int> Graph::use_counts() const {
  std::unordered_map<const Value*, int> counts;
  for (const auto& node : nodes)
    for (const Value* operand : node->operands)
      ++counts[operand];
  for (const Output& output : outputs)
    ++counts[output.value];
  for (const Store& store : stores)
    ++counts[store.value];
  return counts;
}

std::unordered_map<const Value*, std::vector<Node*>> Graph::users() const {
  std::unordered_map<const Value*, std::vector<Node*>> users;
  for (const auto& node : nodes)
    for (const Value* operand : node->operands) {
      std::vector<Node*>& list = users[operand];
      if (list.empty() || list.back() != node.get())
        list.push_back(node.get());
    }
  return users;
}

int Graph::remove_if(const std::function<bool(const Node&)>& dead) {
  std::unordered_set<const Value*> removed;
  for (const auto& node : nodes)
    if (dead(*node))
      for (const auto& value : node->results)
        removed.insert(value.get());
  size_t before = nodes.size();
  std::erase_if(nodes, [&](const auto& node) { return dead(*node); });
  for (const auto& node : nodes)
    for (const Value* operand : node->operands)
      NETC_CHECK(!removed.count(operand), "`{}` still reads a removed value", node->name);
  return static_cast<int>(before - nodes.size());
}

Node* copy_node(Graph& into, const Node& node, std::unordered_map<const Value*, Value*>& map) {
  std::vector<Value*> operands;
  for (const Value* operand : node.operands) {
    auto it = map.find(operand);
    NETC_CHECK(it != map.end(), "`{}` reads `{}`, which has not been copied", node.name,
               operand->name);
    operands.push_back(it->second);
  }
  std::vector<TensorType> types;
  for (const auto& value : node.results)
    types.push_back(value->type);
  Node* copy =
      into.add(*node.op, node.name, std::move(operands), node.attrs, std::move(types), node.loc);
  copy->name = node.name;
  if (node.body)
    copy->body = std::make_unique<Graph>(node.body->clone());
  for (size_t i = 0; i < node.results.size(); ++i) {
    copy->results[i]->layout = node.results[i]->layout;
    copy->results[i]->storage = node.results[i]->storage;
    map[node.results[i].get()] = copy->results[i].get();
  }
  return copy;
}

Graph Graph::clone() const {
  Graph copy(name);
  std::unordered_map<const Value*, Value*> map;
  for (const auto& node : nodes) {
    Node* made = copy_node(copy, *node, map);
    for (size_t i = 0; i < node->results.size(); ++i)
      made->results[i]->name = node->results[i]->name;
  }
  copy.taken_ = taken_;
  for (const Output& output : outputs)
    copy.outputs.push_back({output.name, map.at(output.value), output.whole, output.at});
  for (const Store& store : stores)
    copy.stores.push_back({map.at(store.parameter), map.at(store.value)});
  return copy;
}

namespace {

/// Whether a tensor of `shape` that begins `at` lies within `whole`, or is all of it: both empty.
bool is_part(const Shape& shape, const Shape& whole, const std::vector<int64_t>& at) {
  if (whole.empty() && at.empty())
    return true;
  bool fits = whole.size() == shape.size() && at.size() == shape.size();
  for (size_t d = 0; fits && d < shape.size(); ++d)
    fits = at[d] >= 0 && at[d] <= whole[d] - shape[d];
  return fits;
}

void verify_node(const Node& node, const std::unordered_set<const Value*>& defined) {
  for (const Value* operand : node.operands)
    NETC_CHECK(defined.count(operand), "`{}` ({}) reads a value that is not defined before it",
               node.name, node.op->name);
  if (!node.op->infer)
    return;
  std::vector<TensorType> operands;
  for (const Value* operand : node.operands)
    operands.push_back(operand->type);
  Attributes attrs = node.attrs;
  Diagnostics diagnostics;
  InferContext context{*node.op, operands, attrs, node.loc, diagnostics, node.name};
  NETC_CHECK(infer_node(context), "`{}` does not verify:\n{}", node.name, diagnostics.render());
  NETC_CHECK(context.results.size() == node.results.size(), "`{}` has {} results, inferred {}",
             node.name, node.results.size(), context.results.size());
  for (size_t i = 0; i < node.results.size(); ++i)
    NETC_CHECK(context.results[i] == node.results[i]->type, "`{}` result {} is {}, inferred {}",
               node.name, i, node.results[i]->type.str(), context.results[i].str());
}

} // namespace

void verify(const Graph& graph) {
  std::unordered_set<const Value*> defined;
  std::unordered_set<std::string> names;
  for (const auto& node : graph.nodes) {
    verify_node(*node, defined);
    NETC_CHECK((node->body != nullptr) == node->is("fused"), "`{}` has a body it should not",
               node->name);
    if (node->body)
      verify(*node->body);
    for (const auto& value : node->results) {
      NETC_CHECK(value->node == node.get(), "`{}` has lost its node", value->name);
      NETC_CHECK(value->layout == Layout::row_major || value->type.shape.size() == 4,
                 "`{}` is nhwc but has rank {}", value->name, value->type.shape.size());
      NETC_CHECK(!value->storage ||
                     (is_rounded(*value->storage) && value->type.dtype == DType::f32),
                 "`{}` is {}, held as {}", value->name, value->type.str(), value->stored().str());
      NETC_CHECK(names.insert(value->name).second, "two values are named `{}`", value->name);
      defined.insert(value.get());
    }
  }
  for (const Graph::Output& output : graph.outputs) {
    NETC_CHECK(defined.count(output.value), "output `{}` is not defined", output.name);
    NETC_CHECK(is_part(output.value->type.shape, output.whole, output.at),
               "output `{}` is outside its tensor", output.name);
  }
  for (const Graph::Store& store : graph.stores) {
    NETC_CHECK(defined.count(store.parameter) && store.parameter->node->is("parameter"),
               "a store goes to something that is not a parameter");
    NETC_CHECK(defined.count(store.value) && store.value->type == store.parameter->type,
               "the value stored in `{}` does not fit", store.parameter->name);
  }
}

} // namespace netc
