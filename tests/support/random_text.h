#pragma once
// Small random networks as text, for what is tested from the description on.

#include "frontend/network.h"
#include "tests/support/draw.h"

namespace netc::test {

/// A network that is known to be right; fails the test where it is not.
Network network_of(const std::string& text, const std::string& name = "random.yaml");

/// The text of a network that ends in a loss and trains: convolutions of all kinds, normalisation,
/// pooling, maps, dropout, branches that are added or put together, one or two linear layers.
///
/// `on_blocks`: batch, channels (of the images, too) and features are multiples of 8, so that even
/// cuts over 1, 2, 4 and 8 devices keep the blocks of exact sums whole. Else they are anything.
std::string random_network_text(Random& random, bool on_blocks);

} // namespace netc::test
