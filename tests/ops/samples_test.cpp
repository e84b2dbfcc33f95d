// Cases of slice_samples, join_samples and accumulate.

#include "ir/ops.h"
#include "tests/support/op_harness.h"

namespace netc::test {
namespace {

using Ints = std::vector<int64_t>;

OpCase slice(OperandCase x, Ints ranges) {
  return {&ops::slice_samples, {std::move(x)}, {{"ranges", std::move(ranges)}}};
}
OpCase join(std::vector<OperandCase> operands, Ints runs) {
  return {&ops::join_samples, std::move(operands), {{"runs", std::move(runs)}}};
}

OpCase accumulate(Shape shape) {
  return {&ops::accumulate, {parameter(shape), parameter(shape)}};
}

OperandCase bytes_feed(Shape shape) {
  OperandCase bytes = feed(std::move(shape), integers(0, 255));
  bytes.type.dtype = DType::u8;
  return bytes;
}

std::vector<OpCase> cases() {
  return {slice(feed({6, 3, 4, 5}), {1, 4}),
          slice(feed({8, 5, 3, 2}), {0, 2, 4, 5, 7, 8}),
          slice(feed({5, 9}), {3, 5}),
          slice(feed({7}), {0, 1, 2, 7}),
          slice(integers_feed({9}, integers(-1, 5)), {4, 8}),
          slice(bytes_feed({4, 3, 5, 4}), {1, 2, 3, 4}),
          join({feed({2, 3, 4, 5}), feed({1, 3, 4, 5})}, {0, 2, 1, 1}),
          join({feed({2, 7}), feed({3, 7})}, {1, 1, 0, 1, 1, 2, 0, 1}),
          join({feed({3})}, {0, 3}),
          accumulate({5, 3, 2, 4}),
          accumulate({4, 9}),
          accumulate({7})};
}

const OpTests tests("samples", cases);

} // namespace
} // namespace netc::test
