// The middle of values.

#include "ir/support/median.h"

#include <gtest/gtest.h>

namespace netc::test {
namespace {

TEST(Median, IsTheMiddleOrTheMeanOfTheTwoThere) {
  EXPECT_EQ(median({7}), 7);
  EXPECT_EQ(median({9, 1}), 5);
  EXPECT_EQ(median({9, 1, 2}), 2);
  EXPECT_EQ(median({4, 100, 1, 3}), 3.5);
  EXPECT_THROW(median({}), InternalError);
}

} // namespace
} // namespace netc::test
