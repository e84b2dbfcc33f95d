#pragma once
// Initial values of parameters.

#include "ir/program.h"

#include <span>

namespace netc {

/// Fills `values` as `state.init` says; a pure function of (seed, state). Gaussians come from
/// Box and Muller's transform (1958) of Philox words of the stream `init`, keyed by the name.
void initialize_state(const StateInit& state, uint64_t seed, std::span<float> values);

} // namespace netc
