#pragma once
// A picture of a cut step in the language of Graphviz.

#include "tools/partition/uncut.h"

#include <string>
#include <vector>

namespace netc {

/// Every device with the layers that it computes, in its colour, paler where every device computes
/// the same; between them the exchanges as diamonds, with their kind and megabytes, drawn the
/// bolder the more they carry; how many are too small for one stands below. Exchanges of the
/// backward part are dashed. `devices`: names.
std::string partition_dot(const UncutStep& uncut, const CutStep& step,
                          const std::vector<std::string>& devices);

} // namespace netc
