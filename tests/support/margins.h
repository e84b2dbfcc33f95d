#pragma once
// How far the values of a graph are from the kinks of its operators. Single and double precision
// take different sides of a kink that is closer than their rounding.

#include "tests/support/interpret.h"

namespace netc::test {

/// The smallest distance of a ReLU's operand from 0, or of a maximum from the runner-up in its
/// window. Operands that are 0 or equal bit for bit are no danger: they are so in any precision.
double smallest_margin(const Graph& graph,
                       const std::unordered_map<const Value*, RefTensor>& values);

} // namespace netc::test
