#include "codegen/group.h"

#include "ir/ops.h"

#include <algorithm>

namespace netc {

namespace {

Group group_of_body(const Node& node) {
  Group group;
  for (const auto& member : node.body->nodes) {
    if (member->op == &ops::argument) {
      size_t index = static_cast<size_t>(member->attrs.integer("index"));
      group.buffers[member->result()] = fmt::format("in{}", index);
    } else {
      group.members.push_back(member.get());
    }
  }
  group.operands.assign(node.operands.begin(), node.operands.end());
  for (size_t i = 0; i < node.results.size(); ++i) {
    group.results.push_back(node.results[i].get());
    group.member_results.push_back(node.body->outputs[i].value);
    group.buffers[node.body->outputs[i].value] = fmt::format("out{}", i);
  }
  return group;
}

Group group_of_node(const Node& node, const std::function<bool(const Value&)>& is_used) {
  Group group;
  group.members = {&node};
  for (const Value* operand : node.operands) {
    if (group.buffers.count(operand))
      continue;
    group.buffers[operand] = fmt::format("in{}", group.operands.size());
    group.operands.push_back(operand);
  }
  for (const auto& result : node.results) {
    if (node.op->is_pixel() && !is_used(*result))
      continue;
    group.buffers[result.get()] = fmt::format("out{}", group.results.size());
    group.results.push_back(result.get());
  }
  group.member_results = group.results;
  return group;
}

} // namespace

std::string LocalNames::next(const std::string& base) {
  std::string name;
  do {
    const int n = counts_[base]++;
    name = n == 0 ? base : fmt::format("{}_{}", base, n);
  } while (!taken_.insert(name).second);
  return name;
}

Group make_group(const Node& node, const std::function<bool(const Value&)>& is_used) {
  return node.body ? group_of_body(node) : group_of_node(node, is_used);
}

std::vector<kernel::Param> group_params(const Group& group) {
  std::vector<kernel::Param> params;
  for (size_t i = 0; i < group.operands.size(); ++i)
    params.push_back({fmt::format("in{}", i), group.operands[i]->stored(),
                      group.operands[i]->layout, kernel::Access::in});
  for (size_t i = 0; i < group.results.size(); ++i)
    params.push_back({fmt::format("out{}", i), group.results[i]->stored(), group.results[i]->layout,
                      kernel::Access::out});
  return params;
}

TensorType flat_type(const Value& value) {
  kernel::PixelShape p = kernel::pixel_shape(value.type.shape);
  if (value.type.shape.size() == 1)
    return value.stored();
  return {value.stored().dtype, {p.n * p.h * p.w, p.c}};
}

} // namespace netc
