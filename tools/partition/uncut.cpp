#include "tools/partition/uncut.h"

#include "tools/driver/strategy.h"

#include <sstream>

namespace netc {

CutStep UncutStep::cut(const Strategy& strategy) const {
  PartitionSpecification specification{strategy, places};
  return cut_graph(graph, assign_cuts(graph, specification, context.origins), strategy);
}

UncutStep uncut_step(const Network& network, const CompileOptions& options) {
  UncutStep step{forward_graph(network, batch_of(network, options.batch)), {}, places_of(network)};
  step.context.target = options.target;
  step.context.exact = options.exact;
  step.context.optimizer = network.recipe.train.optimizer;
  std::ostringstream dump;
  run_pipeline(step.graph, step.context, {.stop_after = "assign-layouts"}, dump);
  prepare_to_cut(step.graph, step.context.origins);
  return step;
}

} // namespace netc
