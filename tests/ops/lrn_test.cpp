// Cases of lrn and lrn_grad.

#include "ir/ops.h"
#include "tests/support/op_harness.h"

namespace netc::test {
namespace {

OpCase lrn(Shape x, int64_t n, double k, double alpha, double beta, bool over_n,
           int64_t groups = 1) {
  return {&ops::lrn,
          {feed(std::move(x), uniform(-3, 3))},
          {{"n", n},
           {"k", k},
           {"alpha", alpha},
           {"beta", beta},
           {"alpha_over_n", over_n},
           {"groups", groups}}};
}

std::vector<OpCase> cases() {
  return {
      lrn({2, 16, 3, 4}, 5, 2, 1e-4, 0.75, false, 2), // the paper
      lrn({1, 13, 3, 3}, 5, 1, 0.5, 0.75, true),      lrn({3, 9, 2, 1}, 3, 1, 0.3, 0.5, false, 3),
      lrn({1, 3, 2, 5}, 7, 1.5, 0.2, 1, true),     // a window wider than all channels
      lrn({2, 6, 1, 1}, 5, 2, 0.1, 1.3, false, 2), // no multiple of 1/4
      lrn({2, 5, 2, 2}, 1, 1, 1, 0.25, false),     // only the channel itself
      lrn({1, 1, 3, 3}, 5, 2, 1, 0.75, true),         lrn({4, 37}, 9, 1, 0.05, 2, false),
      lrn({2, 6, 2, 2}, 3, 2, 1, 0, false, 2), // beta 0 is the identity
  };
}

const OpTests tests("lrn", cases);

} // namespace
} // namespace netc::test
