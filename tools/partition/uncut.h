#pragma once
// A training step as it is before it is cut.

#include "passes/partition/problem.h"
#include "tools/driver/compile.h"

namespace netc {

/// The step, after the passes that come before cutting, and what cutting needs beside it.
struct UncutStep {
  Graph graph;
  PassContext context;
  std::vector<LayerPlace> places;

  WholeStep whole() const { return {graph, places, context.origins}; }
  CutStep cut(const Strategy& strategy) const;
};
UncutStep uncut_step(const Network& network, const CompileOptions& options);

} // namespace netc
