// Where the lines of a sweep change places.

#include "tools/partition/sweeps.h"

#include <gtest/gtest.h>

#include <cmath>

namespace netc {
namespace {

using Crossover = Sweep::Crossover;

std::vector<Crossover> crossovers(std::vector<double> points, std::vector<Sweep::Line> lines) {
  Sweep sweep{"batch", std::move(points), std::move(lines), {}};
  find_crossovers(sweep);
  return sweep.crossovers;
}

void expect(const Crossover& got, double at, const char* from, const char* to) {
  EXPECT_NEAR(got.at, at, 1e-9 * at);
  EXPECT_EQ(got.from, from);
  EXPECT_EQ(got.to, to);
}

TEST(Crossovers, AreWhereLinesMeetOnLogarithmicAxes) {
  // 4 and x are straight there.
  const auto found = crossovers({1, 16}, {{"flat", {4, 4}}, {"steep", {1, 16}}});
  ASSERT_EQ(found.size(), 1u);
  expect(found[0], 4, "steep", "flat");
}

TEST(Crossovers, AThirdLineMayBeFastestBetweenTwoPoints) {
  const auto found =
      crossovers({1, 256}, {{"rises", {1, 256}}, {"falls", {256, 1}}, {"flat", {4, 4}}});
  ASSERT_EQ(found.size(), 2u);
  expect(found[0], 4, "rises", "flat");
  expect(found[1], 64, "flat", "falls");
}

TEST(Crossovers, LinesThatAreAlikeDoNotCross) {
  EXPECT_TRUE(crossovers({1, 2, 4}, {{"a", {3, 2, 1}}, {"b", {3, 2, 1}}}).empty());
}

TEST(Crossovers, WhatWasFoundForOnePointIsNoLine) {
  EXPECT_TRUE(crossovers({1, 2}, {{"a", {2, 4}}, {"auto", {4, 2}}}).empty());
}

TEST(Crossovers, LinesWithGapsCrossWhereTheyHaveBothEnds) {
  const double nothing = std::nan("");
  EXPECT_TRUE(crossovers({1, 2}, {{"a", {1, nothing}}, {"b", {2, 1}}}).empty());
  const auto found = crossovers({1, 16, 256}, {{"a", {1, 16, nothing}}, {"b", {4, 4, 4}}});
  ASSERT_EQ(found.size(), 1u);
  expect(found[0], 4, "a", "b");
}

} // namespace
} // namespace netc
