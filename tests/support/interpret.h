#pragma once
// The oracle of the tests: a graph computed in double precision by the references of its operators.

#include "ir/op.h"

#include <map>
#include <string>
#include <unordered_map>

namespace netc::test {

/// Tensors by the name of a feed, parameter or output.
using Tensors = std::map<std::string, RefTensor>;

/// The results of a node, a fused one included.
std::vector<RefTensor> interpret_node(const Node& node,
                                      const std::vector<const RefTensor*>& operands);

/// Every value of `graph`, fused bodies included as one node each. `inputs` gives the feeds and
/// parameters by name; one that is missing raises InternalError.
std::unordered_map<const Value*, RefTensor> interpret(const Graph& graph, const Tensors& inputs);

/// The outputs of `graph`, and for every store the parameter's next value under its name.
Tensors interpret_outputs(const Graph& graph, const Tensors& inputs);

/// ||got - want|| / ||want||, or ||got|| when `want` is zero. Infinite when anything is not a
/// number or the sizes differ.
double relative_error(const RefTensor& got, const RefTensor& want);

} // namespace netc::test
