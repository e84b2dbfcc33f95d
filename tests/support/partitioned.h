#pragma once
// The oracle of partitioned steps: the graphs of all devices computed together, in double.

#include "tests/support/interpret.h"

namespace netc::test {

/// Computes one graph a device. `inputs` gives whole feeds and parameters by name; a device takes
/// the part that its attributes `whole` and `at` name. Exchanges follow the meaning of their
/// shardings, not their steps, and wait until every device has come to them.
///
/// Gives the outputs, and for every store the parameter's next value, put together from all devices
/// that have a part. InternalError, which names the tensor or exchange: an input is missing;
/// devices wait for each other; nobody has an element; holders of the same element do not agree.
Tensors interpret_partitioned(const std::vector<Graph>& devices, const Tensors& inputs);

} // namespace netc::test
