#pragma once
// Mistakes in the graphs of several devices, one at a time.

#include "ir/graph.h"

#include <functional>

namespace netc::test {

/// One mistake: what it is, and what makes it in (a copy of) the graphs it was listed for.
struct Fault {
  std::string kind; ///< For counting: `dropped`, `swapped` ...
  std::string text; ///< All of it, for people.
  std::function<void(std::vector<Graph>&)> plant;
};

/// All mistakes that graphs of several devices have room for: exchanges left out on one device or
/// on all, or in another order; sums that are none, or maxima; parts that begin or end elsewhere;
/// a device whose part nobody takes; nodes that take their part for another. Left out are those
/// that change nothing: of exchanges that nobody reads, of parts that other devices have as well.
std::vector<Fault> faults_of(const std::vector<Graph>& graphs);

/// Copies of graphs.
std::vector<Graph> clones(const std::vector<Graph>& graphs);

} // namespace netc::test
