// Cases of bias and channel_sum.

#include "ir/ops.h"
#include "tests/support/op_harness.h"

namespace netc::test {
namespace {

OpCase bias(Shape x) {
  int64_t channels = x[1];
  return {&ops::bias, {feed(std::move(x)), parameter({channels})}};
}

/// Away from zero, so that the sum of 10,000 terms is not one of their rounding errors.
OpCase sum(Shape x, int64_t blocks = 8) {
  return {&ops::channel_sum, {feed(std::move(x), uniform(-0.5, 1))}, {{"blocks", blocks}}};
}

std::vector<OpCase> cases() {
  return {bias({1, 1}),         bias({3, 7}),          bias({1, 13, 5, 3}), bias({2, 16, 4, 4}),
          bias({5, 19, 1, 1}),  sum({1, 1}),           sum({1, 17}),        sum({10'000, 3}),
          sum({2, 7, 3, 5}),    sum({4, 11, 50, 50}),  sum({1, 33, 7, 1}),  sum({67, 5, 1, 3}),
          sum({3, 5, 4, 2}, 1), sum({11, 6, 5, 2}, 2), sum({9, 30}, 4),     sum({1, 9, 2, 2}, 4)};
}

const OpTests tests("bias", cases);

} // namespace
} // namespace netc::test
