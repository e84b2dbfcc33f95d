// Cases of max_pool2d, avg_pool2d and their gradients.

#include "ir/ops.h"
#include "tests/support/op_harness.h"

namespace netc::test {
namespace {

using Ints = std::vector<int64_t>;

struct Geometry {
  Shape x;
  Ints kernel, stride, pad;
  const char* rounding;
};

std::vector<Geometry> geometries() {
  return {
      {{2, 16, 13, 13}, {3, 3}, {2, 2}, {0, 0, 0, 0}, "floor"}, // AlexNet
      {{1, 7, 8, 6}, {3, 3}, {2, 2}, {0, 0, 0, 0}, "ceil"},     // Caffe, over the edge
      {{2, 5, 7, 5}, {2, 3}, {3, 2}, {1, 0, 0, 2}, "floor"},    // pixels no window reads
      {{1, 13, 6, 9}, {3, 2}, {2, 3}, {1, 1, 2, 0}, "ceil"},
      {{3, 3, 5, 5}, {3, 3}, {1, 1}, {1, 1, 1, 1}, "floor"}, // as large as its input
      {{1, 1, 4, 4}, {4, 4}, {1, 1}, {0, 0, 0, 0}, "floor"}, // the whole image
      {{2, 19, 5, 4}, {1, 1}, {2, 2}, {0, 0, 0, 0}, "ceil"},
      {{1, 11, 1, 7}, {1, 5}, {1, 4}, {0, 4, 0, 4}, "ceil"},
      {{1, 2, 20, 18}, {16, 16}, {5, 3}, {3, 2, 15, 1}, "ceil"}, // the largest index: 255
      // One window, or one block of them, behind padding.
      {{2, 8, 2, 2}, {3, 3}, {2, 2}, {1, 1, 1, 1}, "floor"},
      {{2, 8, 4, 4}, {3, 3}, {2, 2}, {1, 1, 1, 1}, "floor"},
      {{1, 8, 1, 5}, {1, 3}, {1, 2}, {0, 1, 0, 1}, "floor"},
  };
}

Attributes attributes(const Geometry& g) {
  return {{"kernel", g.kernel},
          {"stride", g.stride},
          {"pad", g.pad},
          {"rounding", std::string(g.rounding)}};
}

/// Averages are of numbers whose mean is not a rounding error.
std::vector<OpCase> cases() {
  std::vector<OpCase> table;
  for (const Geometry& g : geometries()) {
    table.push_back({&ops::max_pool2d, {feed(g.x, distinct())}, attributes(g)});
    for (const char* divisor : {"clipped", "full"}) {
      Attributes attrs = attributes(g);
      attrs.set("divisor", std::string(divisor));
      table.push_back({&ops::avg_pool2d, {feed(g.x, uniform(-0.5, 1))}, attrs});
    }
  }
  // 10,000 terms.
  Geometry all{{1, 3, 100, 100}, {100, 100}, {1, 1}, {0, 0, 0, 0}, "floor"};
  table.push_back({&ops::avg_pool2d, {feed(all.x, uniform(-0.5, 1))}, attributes(all)});
  return table;
}

const OpTests tests("pool", cases);

} // namespace
} // namespace netc::test
