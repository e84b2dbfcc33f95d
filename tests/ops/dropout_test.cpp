// Cases of dropout; its gradient is dropout again.

#include "ir/ops.h"
#include "tests/support/op_harness.h"

namespace netc::test {
namespace {

using Ints = std::vector<int64_t>;

OpCase dropout(Shape x, double rate, const char* mode, int64_t stream = 0) {
  return {&ops::dropout,
          {feed(std::move(x)), integers_feed({2}, values({123456789, -42})),
           integers_feed({1}, values({1'000'003}))},
          {{"rate", rate}, {"mode", std::string(mode)}, {"stream", stream}}};
}

/// A part, from `at`, of a tensor of shape `whole`.
OpCase part(OpCase c, Ints whole, Ints at) {
  c.attrs.set("whole", std::move(whole));
  c.attrs.set("at", std::move(at));
  return c;
}

std::vector<OpCase> cases() {
  return {dropout({1, 1}, 0.5, "classic"),
          dropout({3, 37}, 0.5, "classic"),
          dropout({3, 37}, 0.5, "inverted", 1),
          dropout({2, 13, 5, 3}, 0.3, "inverted", 7),
          dropout({2, 2, 3, 3}, 0.9, "classic", 2),
          dropout({1, 11, 1, 1}, 0, "inverted"),
          dropout({7, 1000}, 0.1, "inverted", 3),
          part(dropout({2, 3, 4, 5}, 0.4, "classic"), {6, 7, 4, 9}, {3, 2, 0, 1}),
          part(dropout({3, 37}, 0.5, "inverted"), {5, 100}, {1, 63}),
          part(dropout({2, 9}, 0.5, "inverted"), {1 << 10, 1 << 20}, {1000, 5})};
}

const OpTests tests("dropout", cases);

} // namespace
} // namespace netc::test
