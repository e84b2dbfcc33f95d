// Cases of conv2d, conv2d_data_gradient and conv2d_weight_gradient.

#include "ir/ops.h"
#include "tests/support/op_harness.h"

#include <gtest/gtest.h>

namespace netc::test {
namespace {

using Ints = std::vector<int64_t>;

OpCase conv(Shape x, Shape w, Attributes attrs = {}) {
  return {&ops::conv2d, {feed(std::move(x)), parameter(std::move(w))}, std::move(attrs)};
}

OpCase large(OpCase c) {
  c.differences = false;
  return c;
}

OpCase fast_only(OpCase c) {
  c.exact = false;
  return c;
}

std::vector<OpCase> cases() {
  return {
      // One image, one channel; one pixel; the kernel covers the whole image.
      conv({1, 1, 5, 5}, {1, 1, 3, 3}),
      fast_only(conv({2, 13, 1, 1}, {17, 13, 1, 1})),
      fast_only(conv({2, 3, 7, 6}, {5, 3, 7, 6})),
      // Prime channel counts and odd sizes.
      conv({1, 7, 13, 11}, {11, 7, 3, 5}, {{"pad", Ints{1, 2, 1, 2}}}),
      fast_only(conv({3, 19, 5, 9}, {37, 19, 2, 2})),
      // Groups, strides, dilation, padding on some sides only, pixels no window reads.
      conv({2, 6, 9, 7}, {10, 3, 3, 3}, {{"groups", int64_t{2}}, {"pad", Ints{1, 1, 1, 1}}}),
      conv({1, 9, 8, 8}, {15, 3, 3, 2}, {{"groups", int64_t{3}}, {"stride", Ints{2, 1}}}),
      fast_only(
          conv({2, 5, 12, 14}, {6, 5, 3, 3}, {{"stride", Ints{3, 2}}, {"pad", Ints{0, 1, 2, 0}}})),
      conv({2, 4, 13, 12}, {9, 4, 3, 2}, {{"dilation", Ints{2, 3}}, {"pad", Ints{2, 0, 1, 3}}}),
      fast_only(conv({1, 6, 15, 15}, {9, 2, 3, 3},
                     {{"dilation", Ints{2, 2}}, {"stride", Ints{2, 3}}, {"groups", int64_t{3}}})),
      fast_only(conv({1, 3, 4, 4}, {5, 3, 2, 2}, {{"pad", Ints{3, 2, 2, 3}}})),
      // A part of the blocks of exact sums.
      conv({2, 6, 5, 4}, {5, 6, 3, 3}, {{"blocks", int64_t{2}}, {"pad", Ints{1, 1, 1, 1}}}),
      // AlexNet's first two layers in small.
      large(conv({2, 3, 43, 43}, {24, 3, 11, 11}, {{"stride", Ints{4, 4}}})),
      large(fast_only(conv({2, 48, 9, 9}, {64, 24, 5, 5},
                           {{"groups", int64_t{2}}, {"pad", Ints{2, 2, 2, 2}}}))),
      // Long reductions: 9,600 terms forward, 9,801 for the data, 10,000 for the weights.
      large(conv({1, 384, 5, 5}, {8, 384, 5, 5}, {{"pad", Ints{2, 2, 2, 2}}})),
      large(fast_only(conv({1, 2, 3, 3}, {1089, 2, 3, 3}, {{"pad", Ints{1, 1, 1, 1}}}))),
      large(conv({4, 3, 50, 50}, {5, 3, 3, 3}, {{"pad", Ints{1, 1, 1, 1}}})),
  };
}

const OpTests tests("conv2d", cases);

/// Counts, window by window, the products of a convolution.
int64_t count_products(const Node& node) {
  const Shape &y = node.result()->type.shape, &w = node.operands[1]->type.shape;
  int64_t count = 0;
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t k = 0; k < y[1]; ++k)
      for (int64_t pixel = 0; pixel < y[2] * y[3]; ++pixel)
        for (int64_t c = 0; c < w[1]; ++c)
          for (int64_t tap = 0; tap < w[2] * w[3]; ++tap)
            ++count;
  return count;
}

TEST(Conv2dCounts, EveryPassMultipliesAsOften) {
  for (const OpCase& description : cases()) {
    CaseGraph built = build_cases({description});
    const CaseGraph::Case& c = built.cases.front();
    int64_t products = count_products(*c.node);
    EXPECT_EQ(ops::conv2d.macs(*c.node), products);
    for (const Value* gradient : c.gradients)
      EXPECT_EQ(gradient->node->op->macs(*gradient->node), products) << gradient->name;
  }
}

} // namespace
} // namespace netc::test
