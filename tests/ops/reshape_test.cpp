// Cases of flatten and reshape.

#include "ir/ops.h"
#include "tests/support/op_harness.h"

namespace netc::test {
namespace {

using Ints = std::vector<int64_t>;

OpCase flatten(Shape x) {
  return {&ops::flatten, {feed(std::move(x))}};
}
OpCase reshape(Shape x, Ints shape) {
  return {&ops::reshape, {feed(std::move(x))}, {{"shape", std::move(shape)}}};
}

std::vector<OpCase> cases() {
  return {flatten({2, 7, 3, 5}),
          flatten({1, 1, 1, 1}),
          flatten({3, 16, 6, 6}),
          flatten({2, 5}),
          reshape({2, 12}, {3, 2, 2}),
          reshape({1, 105}, {7, 5, 3}),
          reshape({2, 6, 5, 4}, {5, 3, 8}),
          reshape({3, 2, 5, 7}, {70}),
          reshape({1, 4, 3, 3}, {4, 3, 3})};
}

const OpTests tests("reshape", cases);

} // namespace
} // namespace netc::test
