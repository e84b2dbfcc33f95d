// Boxes, shardings and their text, meshes.

#include "ir/sharding.h"

#include <gtest/gtest.h>

#include <fmt/ranges.h>

#include <random>

namespace netc::test {
namespace {

using Random = std::mt19937_64;

int64_t below(Random& random, int64_t n) {
  return static_cast<int64_t>(random() % static_cast<uint64_t>(n));
}

/// A box within `shape`, sometimes empty in one way or the other.
Box random_box(Random& random, const Shape& shape) {
  if (below(random, 12) == 0)
    return {};
  Box box;
  for (int64_t extent : shape) {
    int64_t a = below(random, extent + 1), b = below(random, extent + 1);
    box.push_back({std::min(a, b), std::max(a, b)});
  }
  return box;
}

/// Whether the element is in the box, from the definition alone.
bool holds(const Box& box, const std::vector<int64_t>& at) {
  if (box.empty())
    return false;
  for (size_t d = 0; d < at.size(); ++d)
    if (at[d] < box[d].begin || at[d] >= box[d].end)
      return false;
  return true;
}

/// Calls fn for every element of `shape`, which has three dimensions.
template <class Fn> void for_each_place(const Shape& shape, Fn fn) {
  for (int64_t i = 0; i < shape[0]; ++i)
    for (int64_t j = 0; j < shape[1]; ++j)
      for (int64_t k = 0; k < shape[2]; ++k)
        fn(std::vector<int64_t>{i, j, k});
}

TEST(Boxes, AreTheSetsOfTheirElements) {
  Random random(1);
  const Shape shape = {4, 3, 5};
  for (int repeat = 0; repeat < 3000; ++repeat) {
    const Box a = random_box(random, shape), b = random_box(random, shape);
    const Box both = intersect(a, b), around = hull(a, b);
    int64_t in_a = 0, outside = 0;
    for_each_place(shape, [&](const std::vector<int64_t>& at) {
      const bool is_in_a = holds(a, at), is_in_b = holds(b, at);
      in_a += is_in_a;
      outside += is_in_b && !is_in_a;
      ASSERT_EQ(holds(both, at), is_in_a && is_in_b) << to_text(a) << " " << to_text(b);
      ASSERT_TRUE(holds(around, at) || !(is_in_a || is_in_b)) << to_text(a) << " " << to_text(b);
    });
    ASSERT_EQ(elements(a), in_a) << to_text(a);
    ASSERT_EQ(is_empty(a), in_a == 0) << to_text(a);
    ASSERT_EQ(contains(a, b), outside == 0) << to_text(a) << " " << to_text(b);
  }
}

TEST(Boxes, HullsAreTheSmallest) {
  EXPECT_EQ(hull({{1, 3}, {0, 2}}, {{2, 5}, {4, 6}}), (Box{{1, 5}, {0, 6}}));
  EXPECT_EQ(hull({}, {{2, 5}}), (Box{{2, 5}}));
  EXPECT_EQ(hull({{2, 5}}, {{3, 3}}), (Box{{2, 5}}));
  EXPECT_TRUE(is_empty(hull({}, {})));
}

TEST(Boxes, DifferencesCoverWhatIsLeftOnce) {
  Random random(2);
  const Shape shape = {4, 3, 5};
  for (int repeat = 0; repeat < 3000; ++repeat) {
    const Box outer = random_box(random, shape);
    const Box inner = intersect(outer, random_box(random, shape));
    const std::vector<Box> rest = difference(outer, inner);
    for_each_place(shape, [&](const std::vector<int64_t>& at) {
      int64_t count = 0;
      for (const Box& box : rest)
        count += holds(box, at);
      ASSERT_EQ(count, holds(outer, at) && !holds(inner, at))
          << to_text(outer) << " " << to_text(inner);
    });
    for (const Box& box : rest)
      ASSERT_FALSE(is_empty(box));
  }
}

TEST(Boxes, AreRelativeToWhatHoldsThem) {
  Random random(3);
  const Shape shape = {4, 3, 5};
  for (int repeat = 0; repeat < 1000; ++repeat) {
    const Box outer = random_box(random, shape);
    const Box inner = intersect(outer, random_box(random, shape));
    if (is_empty(inner))
      continue;
    const Box local = relative(inner, outer);
    ASSERT_TRUE(contains(whole_box(shape_of(outer)), local));
    ASSERT_EQ(shape_of(local), shape_of(inner));
    for_each_place(shape, [&](std::vector<int64_t> at) {
      const bool inside = holds(inner, at);
      for (size_t d = 0; d < at.size(); ++d)
        at[d] -= outer[d].begin;
      ASSERT_EQ(holds(local, at), inside);
    });
  }
}

TEST(Shardings, HaveTextThatParsesBack) {
  Random random(4);
  for (int repeat = 0; repeat < 2000; ++repeat) {
    Sharding sharding;
    sharding.combine = static_cast<Combine>(below(random, 3));
    for (int64_t left = 1 + below(random, 5); left > 0; --left) {
      Box box = random_box(random, {4, 300, 5});
      sharding.boxes.push_back(is_empty(box) ? Box{} : box);
    }
    ASSERT_EQ(parse_sharding(print(sharding)), sharding) << print(sharding);
  }
  EXPECT_EQ(print(cut_along({128, 3}, 0, {0, 64, 64, 128})), "[0:64, 0:3] | - | [64:128, 0:3]");
  EXPECT_EQ(print(Sharding{{{{0, 10}}, {{0, 10}}}, Combine::sum}), "sum [0:10] | [0:10]");
}

TEST(Shardings, MalformedTextIsNothing) {
  for (const char* text : {"",
                           " ",
                           "|",
                           "[]",
                           "[0:3",
                           "0:3]",
                           "[0:3] |",
                           "[0:3] [3:6]",
                           "[0]",
                           "[0:]",
                           "[:3]",
                           "[3:3]",
                           "[4:3]",
                           "[-1:3]",
                           "[0:3, ]",
                           "[0:3] | [0:3, 0:3]",
                           "none [0:3]",
                           "sum",
                           "sums [0:3]",
                           "sum[0:3]",
                           "mean [0:3]",
                           "sum max [0:3]",
                           "max sum [0:3]",
                           "[0:99999999999999999999]",
                           "[0x1:3]",
                           "[0:3]x",
                           "--"})
    EXPECT_FALSE(parse_sharding(text)) << '"' << text << '"';
}

TEST(Shardings, KnowWhoHoldsWhat) {
  const Shape shape = {6, 4};
  EXPECT_TRUE(replicated(shape, 3).alike());
  EXPECT_FALSE(replicated(shape, 3).disjoint());
  EXPECT_TRUE(on_device(shape, 3, 1).disjoint());
  EXPECT_EQ(on_device(shape, 3, 1).holders(), std::vector<int>{1});
  const Sharding cut = cut_along(shape, 0, {0, 2, 2, 6});
  EXPECT_EQ(cut.holders(), (std::vector<int>{0, 2}));
  EXPECT_TRUE(cut.disjoint());
  EXPECT_FALSE(cut.alike());
  EXPECT_FALSE(cut.partial());
  EXPECT_FALSE((Sharding{{{{0, 2}}, {}}, Combine::sum}.partial()));
  EXPECT_TRUE((Sharding{{{{0, 2}}, {{0, 2}}}, Combine::sum}.partial()));
  EXPECT_FALSE((Sharding{{{{0, 3}}, {{2, 4}}}, Combine::none}.disjoint()));
}

TEST(Shardings, AreCutAmongTheirHolders) {
  const Box held = {{2, 7}, {0, 4}};
  EXPECT_EQ(print(cut_among_holders({{held, {}, held}, Combine::none})),
            "[2:5, 0:4] | - | [5:7, 0:4]");
  EXPECT_EQ(print(cut_among_holders({{{}, {{0, 1}}, {{0, 1}}}, Combine::none})), "- | [0:1] | -");
}

TEST(Shardings, ReadWell) {
  const Shape shape = {6, 4, 3, 3};
  Sharding sums = replicated(shape, 2);
  sums.combine = Combine::sum;
  Sharding maxima = on_device(shape, 3, 0);
  maxima.boxes[2] = maxima.boxes[0], maxima.combine = Combine::max;
  EXPECT_EQ(describe(replicated(shape, 2), shape), "whole");
  EXPECT_EQ(describe(on_device(shape, 2, 1), shape), "whole on 1");
  EXPECT_EQ(describe({std::vector<Box>(2), Combine::none}, shape), "nowhere");
  EXPECT_EQ(describe(sums, shape), "partial sums");
  EXPECT_EQ(describe(maxima, shape), "partial maxima on 0, 2");
  EXPECT_EQ(describe(cut_along(shape, 0, {0, 2, 6}), shape), "dim 0: 0:2 | 2:6");
  EXPECT_EQ(describe(cut_along(shape, 1, {0, 3, 3, 4}), shape), "dim 1: 0:3 | - | 3:4");
  EXPECT_EQ(describe(cut_along(shape, 2, {0, 1, 3}), shape), "dim 2: 0:1 | 1:3");
  EXPECT_EQ(describe(cut_along(shape, 3, {0, 1, 3}), shape), "dim 3: 0:1 | 1:3");
  EXPECT_EQ(describe(cut_along({10}, 0, {0, 5, 10}), {10}), "elements: 0:5 | 5:10");
  EXPECT_EQ(describe({{{{0, 2}, {0, 2}}, {{2, 6}, {2, 4}}}, Combine::none}, {6, 4}),
            "boxes: [0:2, 0:2] | [2:6, 2:4]");
  EXPECT_EQ(describe({{{{0, 3}}, {{0, 3}}, {{3, 6}}, {{3, 6}}}, Combine::sum}, {6}),
            "partial sums, elements: 0:3 | 0:3 | 3:6 | 3:6");
}

TEST(Meshes, CountAlongTheLastAxisFirst) {
  const Mesh mesh{{{"x", 2}, {"y", 3}, {"z", 4}}};
  ASSERT_EQ(mesh.devices(), 24);
  int device = 0;
  for (int x = 0; x < 2; ++x)
    for (int y = 0; y < 3; ++y)
      for (int z = 0; z < 4; ++z, ++device) {
        EXPECT_EQ(mesh.position(device, 0), x) << device;
        EXPECT_EQ(mesh.position(device, 1), y) << device;
        EXPECT_EQ(mesh.position(device, 2), z) << device;
      }
  EXPECT_EQ(Mesh::line(5).devices(), 5);
  EXPECT_EQ(Mesh::line(5).position(3, 0), 3);
}

TEST(Bounds, AreAsEvenAsCanBe) {
  for (int64_t extent = 0; extent < 40; ++extent)
    for (int devices = 1; devices < 12; ++devices) {
      const std::vector<int64_t> bounds = even_bounds(extent, devices);
      ASSERT_EQ(bounds.size(), static_cast<size_t>(devices) + 1);
      ASSERT_EQ(bounds.front(), 0);
      ASSERT_EQ(bounds.back(), extent);
      for (size_t i = 0; i < bounds.size() - 1; ++i) {
        const int64_t part = bounds[i + 1] - bounds[i];
        ASSERT_TRUE(part == extent / devices || part == extent / devices + 1);
        ASSERT_TRUE(i == 0 || part <= bounds[i] - bounds[i - 1]) << "longer parts come first";
      }
    }
}

} // namespace
} // namespace netc::test
