// Cases of linear, linear_data_gradient and linear_weight_gradient.

#include "ir/ops.h"
#include "tests/support/op_harness.h"

#include <gtest/gtest.h>

namespace netc::test {
namespace {

OpCase linear(int64_t batch, int64_t in, int64_t out, bool exact = true) {
  return {.op = &ops::linear,
          .operands = {feed({batch, in}), parameter({out, in})},
          .differences = batch * in * out < 20'000,
          .exact = exact};
}

/// Sums over a part of the blocks of exact plans.
OpCase blocks(OpCase c, int64_t blocks) {
  c.attrs.set("blocks", blocks);
  return c;
}

std::vector<OpCase> cases() {
  return {
      linear(1, 1, 1),
      linear(1, 37, 10),
      linear(3, 13, 7, false),
      linear(7, 129, 17),
      linear(16, 64, 33, false),
      linear(19, 31, 5, false),
      blocks(linear(3, 26, 7), 4),
      linear(8, 10'000, 3),        // a long reduction forward,
      linear(1, 10'000, 3, false), // also of a single sample,
      linear(2, 5, 10'000, false), // for the data
      linear(10'000, 3, 5),        // and for the weights
  };
}

const OpTests tests("linear", cases);

TEST(LinearCounts, EveryPassMultipliesAsOften) {
  for (const OpCase& description : cases()) {
    CaseGraph built = build_cases({description});
    const CaseGraph::Case& c = built.cases.front();
    int64_t products = 0;
    for (int64_t n = 0; n < c.node->operands[0]->type.shape[0]; ++n)
      for (int64_t weight = 0; weight < c.node->operands[1]->type.elements(); ++weight)
        ++products;
    EXPECT_EQ(ops::linear.macs(*c.node), products);
    for (const Value* gradient : c.gradients)
      EXPECT_EQ(gradient->node->op->macs(*gradient->node), products) << gradient->name;
  }
}

} // namespace
} // namespace netc::test
