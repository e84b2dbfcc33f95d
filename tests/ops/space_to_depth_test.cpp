// Cases of space_to_depth and depth_to_space.

#include "ir/ops.h"
#include "tests/support/op_harness.h"

namespace netc::test {
namespace {

OpCase blocks(Shape x, int64_t block, bool weights = false) {
  OperandCase operand = weights ? parameter(std::move(x)) : feed(std::move(x));
  return {&ops::space_to_depth, {operand}, {{"block", block}}};
}

OpCase pixels(Shape x, int64_t block, int64_t height, int64_t width) {
  return {&ops::depth_to_space,
          {feed(std::move(x))},
          {{"block", block}, {"height", height}, {"width", width}}};
}

std::vector<OpCase> cases() {
  return {blocks({2, 3, 8, 12}, 4),        blocks({1, 3, 11, 10}, 4),
          blocks({3, 1, 5, 3}, 2),         blocks({2, 5, 3, 3}, 1),
          blocks({7, 3, 11, 11}, 4, true), pixels({2, 12, 3, 4}, 2, 6, 8),
          pixels({1, 48, 3, 3}, 4, 11, 9)};
}

const OpTests tests("space_to_depth", cases);

} // namespace
} // namespace netc::test
