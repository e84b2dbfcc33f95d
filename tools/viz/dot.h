#pragma once
// A picture of a graph in the language of Graphviz.

#include <string>

namespace netc {

class Graph;

struct VizOptions {
  std::string stage;            ///< Said below the title, e.g. `after fuse-windows`.
  bool show_parameters = false; ///< As nodes; else their number stands on the node that reads them.
};

/// Draws the operators of `graph`, fused nodes as boxes round their bodies. A training graph has
/// its backward part beside the forward part: each gradient on the height of its layer, the update
/// to its right. The same graph gives the same text.
std::string to_dot(const Graph& graph, const VizOptions& options = {});

} // namespace netc
