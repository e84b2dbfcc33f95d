// Cases of dropout; its gradient is dropout again.

#include "ir/ops.h"
#include "tests/support/op_harness.h"

namespace netc::test {
namespace {

OpCase dropout(Shape x, double rate, const char* mode, int64_t stream = 0) {
  return {&ops::dropout,
          {feed(std::move(x)), integers_feed({2}, values({123456789, -42})),
           integers_feed({1}, values({1'000'003}))},
          {{"rate", rate}, {"mode", std::string(mode)}, {"stream", stream}}};
}

std::vector<OpCase> cases() {
  return {dropout({1, 1}, 0.5, "classic"),          dropout({3, 37}, 0.5, "classic"),
          dropout({3, 37}, 0.5, "inverted", 1),     dropout({2, 13, 5, 3}, 0.3, "inverted", 7),
          dropout({2, 2, 3, 3}, 0.9, "classic", 2), dropout({1, 11, 1, 1}, 0, "inverted"),
          dropout({7, 1000}, 0.1, "inverted", 3)};
}

const OpTests tests("dropout", cases);

} // namespace
} // namespace netc::test
