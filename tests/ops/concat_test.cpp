// Cases of concat and slice_channels.

#include "ir/ops.h"
#include "tests/support/op_harness.h"

namespace netc::test {
namespace {

OpCase concat(std::vector<OperandCase> operands) {
  return {&ops::concat, std::move(operands)};
}
OpCase slice(Shape x, int64_t begin, int64_t end) {
  return {&ops::slice_channels, {feed(std::move(x))}, {{"begin", begin}, {"end", end}}};
}

std::vector<OpCase> cases() {
  return {concat({feed({2, 3, 5, 4}), feed({2, 7, 5, 4}), feed({2, 1, 5, 4})}),
          concat({feed({1, 16, 3, 3}), feed({1, 16, 3, 3})}),
          concat({feed({4, 5}), feed({4, 11})}),
          concat({feed({1, 1, 1, 1}), feed({1, 2, 1, 1})}),
          concat({feed({3, 6})}),
          slice({2, 13, 3, 5}, 4, 11),
          slice({1, 3, 2, 2}, 0, 1),
          slice({5, 9}, 8, 9)};
}

const OpTests tests("concat", cases);

} // namespace
} // namespace netc::test
