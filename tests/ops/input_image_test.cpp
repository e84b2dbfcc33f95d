// Cases of input_image.

#include "ir/ops.h"
#include "tests/support/op_harness.h"

namespace netc::test {
namespace {

OpCase input(Shape images, int64_t height, int64_t width, bool crop, bool flip, bool mean,
             double scale, int64_t block = 1) {
  int64_t n = images[0], channels = images[1];
  std::vector<OperandCase> operands;
  OperandCase stored = integers_feed(std::move(images), integers(0, 255));
  stored.type.dtype = DType::u8;
  operands.push_back(std::move(stored));
  operands.push_back(integers_feed({n}, integers(0, 1'281'166)));
  operands.push_back(integers_feed({n}, integers(0, 89)));
  operands.push_back(integers_feed({2}, values({-7, 2'000'000'011})));
  if (mean)
    operands.push_back(parameter({channels}, uniform(100, 130)));
  return {&ops::input_image,
          std::move(operands),
          {{"height", height},
           {"width", width},
           {"random_crop", crop},
           {"flip", flip},
           {"scale", scale},
           {"block", block}}};
}

std::vector<OpCase> cases() {
  return {input({5, 3, 9, 8}, 6, 5, true, true, true, 1),
          input({4, 3, 9, 8}, 9, 8, true, true, false, 0.015625),
          input({3, 1, 7, 7}, 5, 4, false, false, true, 0.1),
          input({7, 2, 6, 11}, 3, 3, true, false, false, 1),
          input({16, 3, 5, 5}, 4, 5, false, true, true, 2),
          input({3, 3, 12, 13}, 11, 9, true, true, true, 0.5, 4),
          input({2, 1, 7, 8}, 6, 8, false, true, false, 1, 2),
          input({1, 1, 1, 1}, 1, 1, false, false, false, 1)};
}

const OpTests tests("input_image", cases);

} // namespace
} // namespace netc::test
