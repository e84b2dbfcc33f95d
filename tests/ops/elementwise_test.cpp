// Cases of relu, tanh, sigmoid, scale and add, and of the gradients.

#include "ir/ops.h"
#include "tests/support/op_harness.h"

namespace netc::test {
namespace {

/// An operator of one operand at several ranks; a map of weights stays in the order of weights.
void add_shapes(std::vector<OpCase>& table, const OpDef& op, const Draw& draw, Attributes attrs) {
  // A single element stays where the gradient is not a difference of nearly equal numbers.
  table.push_back({&op, {feed({1, 1, 1, 1}, away_from_zero())}, attrs});
  for (const Shape& shape : {Shape{2, 7, 3, 5}, Shape{3, 19}})
    table.push_back({&op, {feed(shape, draw)}, attrs});
  table.push_back({&op, {parameter({13}, draw)}, attrs});
  table.push_back({&op, {parameter({5, 3, 2, 3}, draw)}, attrs});
}

std::vector<OpCase> cases() {
  std::vector<OpCase> table;
  add_shapes(table, ops::relu, away_from_zero(), {});
  // Numbers large enough to reach both ends of the curves.
  add_shapes(table, ops::tanh, uniform(-6, 6), {});
  add_shapes(table, ops::sigmoid, uniform(-20, 20), {});
  add_shapes(table, ops::scale, uniform(-1, 1), {{"factor", -0.375}});
  for (size_t terms : {1u, 2u, 5u})
    table.push_back({&ops::add, std::vector<OperandCase>(terms, feed({3, 11, 2, 7}))});
  table.push_back({&ops::add, {feed({1, 1}), feed({1, 1})}});
  table.push_back({&ops::add, {parameter({7}), parameter({7})}});
  return table;
}

const OpTests tests("elementwise", cases);

} // namespace
} // namespace netc::test
