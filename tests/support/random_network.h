#pragma once
// Small random networks for the fusing passes: chains of maps and windows with branches between
// them, from one seed each.

#include "tests/support/draw.h"
#include "tests/support/interpret.h"

namespace netc::test {

/// A forward graph that ends in the output `loss`; some values on the way are outputs, too.
/// Parameters carry a gradient from its beginning to its end. Every third network has contractions.
Graph random_network(uint64_t seed);

/// Values for the feeds and parameters of a graph, momenta included; labels are below `classes`.
Tensors random_inputs(const Graph& graph, Random& random);

} // namespace netc::test
