// Bytes that the strategies move for AlexNet, read off the graphs of the devices, against the
// figures of the published analyses.

#include "frontend/network.h"
#include "ir/support/files.h"
#include "passes/partition/partition.h"
#include "passes/partition/strategies.h"
#include "passes/passes.h"
#include "tests/support/places.h"

#include <gtest/gtest.h>

#include <fstream>

namespace netc::test {
namespace {

std::string model_text(const std::string& name) {
  std::optional<std::string> text = read_text(source_root() / "models" / (name + ".yaml"));
  EXPECT_TRUE(text);
  return text.value_or("");
}

Network network_of(const std::string& text) {
  Diagnostics diagnostics;
  std::optional<Network> network = parse_network(text, "alexnet.yaml", diagnostics);
  EXPECT_EQ(diagnostics.render(), "");
  return std::move(*network);
}

/// A training step before it is cut, and how its layers are called.
struct Step {
  Graph graph;
  PassContext context;
  PartitionSpecification specification;
};

Step step_of(const Network& network, const std::string& strategy, int devices, int64_t batch) {
  Diagnostics diagnostics;
  Step step{build_forward(network, batch, diagnostics), {}, {}};
  EXPECT_EQ(diagnostics.render(), "");
  std::vector<LayerPlace> places = {{"data", network.input_loc}};
  for (const LayerDescription& layer : network.layers)
    places.push_back({layer.name, layer.loc});
  step.specification = {named_strategy(strategy, strategy_layers(step.graph, places), devices),
                        places};
  std::ostringstream dump;
  run_pipeline(step.graph, step.context, {.stop_after = "assign-layouts"}, dump);
  return step;
}

/// Megabytes that each device sends in a step.
std::vector<double> megabytes(const Network& network, const std::string& strategy, int devices,
                              int64_t batch = 128) {
  Step step = step_of(network, strategy, devices, batch);
  split_head(step.graph);
  NodeCuts cuts = assign_cuts(step.graph, step.specification, step.context.origins);
  std::vector<Graph> graphs =
      std::move(cut_graph(step.graph, cuts, step.specification.strategy).graphs);
  std::vector<double> sent(static_cast<size_t>(devices), 0);
  for (const Exchange& exchange : exchanges_of(graphs[0])) {
    auto bytes = bytes_sent(exchange);
    int64_t sum = 0;
    for (size_t from = 0; from < bytes.size(); ++from)
      for (int64_t count : bytes[from])
        sent[from] += static_cast<double>(count) / 1e6, sum += count;
    if (getenv("SHOW"))
      printf("%-28s %-14s %10.3f MB  %s -> %s\n", exchange.name.c_str(),
             std::string(to_string(exchange.kind())).c_str(), sum / 1e6,
             describe(exchange.from, exchange.type.shape).c_str(),
             describe(exchange.to, exchange.type.shape).c_str());
  }
  for (const Graph& graph : graphs)
    if (getenv("VERIFY"))
      verify(graph);
  return sent;
}

TEST(PartitionVolume, Show) {
  Network network = network_of(model_text("alexnet"));
  for (const NamedStrategy& s : named_strategies()) {
    for (int n : {2, 4, 8}) {
      try {
        auto mb = megabytes(network, s.name, n);
        printf("%s %d:", s.name.c_str(), n);
        for (double x : mb)
          printf(" %.2f", x);
        printf("\n");
      } catch (const UserError& e) {
        printf("%s %d: %s\n", s.name.c_str(), n, e.what());
      }
    }
  }
}

} // namespace
} // namespace netc::test
