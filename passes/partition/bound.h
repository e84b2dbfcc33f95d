#pragma once
// How much a search under a memory limit may leave out ahead of time.

#include "passes/partition/search.h"

namespace netc::partition {

/// Bounds from a price on bytes in place of the limit (Lagrangian relaxation).
///
/// The priced problem has no limit and is solved at once. An assignment within the limit costs
/// there at most the price of the whole limit more than it does here. So one of the k best costs
/// there at most `most`, which the k cheapest there that happen to keep the limit show; and partial
/// assignments are hopeless that exceed the cheapest one of the same layers by more than what
/// `most` leaves.
struct Bound {
  double price = 0; ///< Seconds a byte.
  double most = 0;
  /// By layer and choice: the least that an assignment with this choice costs in the priced
  /// problem.
  std::vector<std::vector<double>> forced;

  /// By how much a partial assignment that leaves a layer with this choice may exceed the cheapest.
  double slack(int layer, size_t choice) const {
    return most - forced[static_cast<size_t>(layer)][choice];
  }
};

/// A bound that leaves out nothing.
Bound no_bound(const SearchProblem& problem);
/// Of a problem with a memory limit.
Bound bound_of(const SearchProblem& problem, int k);

} // namespace netc::partition
