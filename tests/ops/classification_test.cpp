// Cases of softmax_cross_entropy, its gradient and topk_accuracy.

#include "ir/ops.h"
#include "tests/support/op_harness.h"

namespace netc::test {
namespace {

OpCase loss(int64_t samples, int64_t classes, Draw labels, double range = 3) {
  return {&ops::softmax_cross_entropy,
          {feed({samples, classes}, uniform(-range, range)), integers_feed({samples}, labels)}};
}

OpCase topk(int64_t samples, int64_t classes, int64_t k, Draw logits, Draw labels) {
  return {
      &ops::topk_accuracy,
      {feed({samples, classes}, std::move(logits)), integers_feed({samples}, std::move(labels))},
      {{"k", k}}};
}

std::vector<OpCase> cases() {
  return {
      loss(1, 1, values({0})),
      loss(3, 10, integers(0, 9)),
      loss(7, 13, values({-1, 12, 0, -1, 5, 5, -1})), // samples that do not count
      loss(2, 5, values({-1, -1})),
      loss(4, 1000, integers(0, 999)),
      loss(5, 7, integers(0, 6), 60),
      loss(1, 10'000, integers(0, 9'999)),
      loss(129, 3, integers(-1, 2)),
      topk(9, 5, 1, distinct(), integers(-1, 4)),
      topk(13, 11, 5, distinct(), integers(0, 10)),
      topk(3, 1000, 5, distinct(), integers(0, 999)),
      topk(4, 3, 3, distinct(), integers(-1, 2)),
      // Equal logits: the lower class ranks first.
      topk(4, 3, 1, values({1, 1, 0, 1, 1, 0, 0, 1, 1, 2, 2, 2}), values({0, 2, 1, 1})),
  };
}

const OpTests tests("classification", cases);

} // namespace
} // namespace netc::test
