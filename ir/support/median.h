#pragma once
// The middle of a few values.

#include "ir/support/error.h"

#include <algorithm>
#include <vector>

namespace netc {

/// The middle of the values, of an even number the mean of the two in the middle. There is at least
/// one.
inline double median(std::vector<double> values) {
  NETC_CHECK(!values.empty(), "the median of nothing");
  std::sort(values.begin(), values.end());
  const size_t above = values.size() / 2, below = (values.size() - 1) / 2;
  return (values[below] + values[above]) / 2;
}

} // namespace netc
