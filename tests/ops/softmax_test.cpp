// Cases of softmax and softmax_grad.

#include "ir/ops.h"
#include "tests/support/op_harness.h"

namespace netc::test {
namespace {

OpCase softmax(Shape x, double range) {
  return {&ops::softmax, {feed(std::move(x), uniform(-range, range))}};
}

std::vector<OpCase> cases() {
  return {softmax({1, 1}, 1),  softmax({3, 10}, 3),       softmax({2, 1000}, 5),
          softmax({5, 7}, 80), softmax({2, 13, 3, 5}, 2), softmax({1, 10'000}, 1)};
}

const OpTests tests("softmax", cases);

} // namespace
} // namespace netc::test
