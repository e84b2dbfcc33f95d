// The search over real networks: its costs are those of the graphs that it stands for, and the
// crossovers of single layers are where the arithmetic puts them.

#include "frontend/network.h"
#include "ir/support/files.h"
#include "passes/partition/problem.h"
#include "passes/partition/strategies.h"
#include "tests/support/places.h"
#include "tools/partition/uncut.h"

#include <gtest/gtest.h>

#include <chrono>
#include <numeric>
#include <random>

namespace netc::test {
namespace {

UncutStep prepare(const std::string& text, int64_t batch) {
  Diagnostics diagnostics;
  std::optional<Network> network = parse_network(text, "net.yaml", diagnostics);
  EXPECT_EQ(diagnostics.render(), "");
  CompileOptions options;
  options.batch = batch;
  return uncut_step(*network, options);
}

std::string alexnet() {
  return read_text(source_root() / "models" / "alexnet.yaml").value_or("");
}

/// Bytes that leave a device, on average, at `bandwidth`; nothing else costs anything.
StepCosts only_bytes(double bandwidth) {
  return {[](const Node&, int) { return 0.0; },
          [bandwidth](const Exchange& exchange) {
            int64_t sum = 0;
            for (const auto& row : bytes_sent(exchange))
              sum = std::accumulate(row.begin(), row.end(), sum);
            return static_cast<double>(sum) / exchange.to.devices() / bandwidth;
          }};
}

StepCosts roofline(double flops, double bandwidth, double latency) {
  StepCosts costs = only_bytes(bandwidth);
  return {[flops](const Node& node, int) {
            return node.op->flops ? static_cast<double>(node.op->flops(node)) / flops : 0.0;
          },
          [costs, latency](const Exchange& exchange) {
            double seconds = costs.exchange(exchange);
            return seconds > 0 ? seconds + latency : 0.0;
          }};
}

/// The additive cost of an assignment's own graphs.
double lowered_seconds(const UncutStep& uncut, const Strategy& strategy, const StepCosts& costs) {
  return additive_seconds(uncut.cut(strategy), costs);
}

TEST(PartitionSearch, CostsAreThoseOfTheGraphs) {
  UncutStep alex = prepare(alexnet(), 128);
  for (int devices : {2, 4}) {
    StepCosts costs = roofline(1e12, 6e9, 2e-5);
    PartitionProblem problem = partition_problem(alex.whole(), devices, costs);
    std::mt19937 random(7);
    for (int trial = 0; trial < 40; ++trial) {
      std::vector<int> choices;
      for (const SearchLayer& layer : problem.search.layers)
        choices.push_back(static_cast<int>(random() % layer.choices.size()));
      double added = evaluate(problem.search, choices);
      double lowered = lowered_seconds(alex, strategy_of(problem, choices, "random"), costs);
      EXPECT_NEAR(added, lowered, 1e-9 * lowered);
    }
  }
}

TEST(PartitionSearch, BruteForceAgreesOnAlexNet) {
  UncutStep alex = prepare(alexnet(), 128);
  for (auto [flops, bandwidth, latency] : {std::tuple{1.6e12, 6e9, 2e-5}, {3e13, 5e10, 1e-5}}) {
    StepCosts costs = roofline(flops, bandwidth, latency);
    auto start = std::chrono::steady_clock::now();
    PartitionProblem problem = partition_problem(alex.whole(), 2, costs);
    SearchResult found = best(problem.search);
    std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    BruteForce all = brute_force(problem.search, 1);
    std::printf("AlexNet over 2 devices: the best of %lld legal assignments found in %.3f s, %.3f "
                "ms a step\n",
                static_cast<long long>(all.legal), took.count(), found.seconds * 1e3);
    ASSERT_FALSE(all.best.empty());
    EXPECT_EQ(found, all.best[0]);
    for (const NamedStrategy& named : named_strategies()) {
      Strategy strategy = named_strategy(named.name, strategy_layers(alex.graph, alex.places), 2);
      EXPECT_LE(found.seconds, lowered_seconds(alex, strategy, costs) * (1 + 1e-12)) << named.name;
    }
    EXPECT_LE(found.seconds, greedy(problem.search).seconds);
    EXPECT_LE(found.seconds, random_search(problem.search, 20000, 3).seconds);
    EXPECT_LE(found.seconds, anneal(problem.search, 20000, 3).seconds);
  }
}

TEST(PartitionSearch, IsMonotoneInBandwidth) {
  UncutStep alex = prepare(alexnet(), 128);
  double before = std::numeric_limits<double>::infinity();
  for (double bandwidth = 1e8; bandwidth < 1e12; bandwidth *= 2) {
    PartitionProblem problem =
        partition_problem(alex.whole(), 2, roofline(1.6e12, bandwidth, 2e-5));
    double seconds = best(problem.search).seconds;
    EXPECT_LE(seconds, before);
    before = seconds;
  }
  // Where nothing is free, one device does all; where messages are, the least work wins.
  PartitionProblem slow = partition_problem(alex.whole(), 2, roofline(1.6e12, 1.0, 1.0));
  Strategy alone = strategy_of(slow, best(slow.search).choices, "alone");
  for (const Exchange& exchange : exchanges_of(alex.cut(alone).graphs[0]))
    EXPECT_EQ(exchange.kind(), ExchangeKind::slice) << exchange.name;
}

/// How a layer of `in` by `out` features is cut at least cost, when what feeds it is cut by
/// samples and the loss takes anything.
std::string cheapest_cut(int64_t in, int64_t out, int64_t batch) {
  const std::string text = fmt::format(R"(name: layer
input: {{channels: 3, height: 1, width: 1, stored: 1, mean: none}}
layers:
  - {{name: feeder, type: conv2d, filters: {}, kernel: 1, bias: false}}
  - {{name: layer, type: linear, features: {}, bias: false}}
  - {{name: loss, type: softmax_cross_entropy}}
train: {{batch: 1, epochs: 1, optimizer: {{rate: 0.01}}}}
)",
                                       in, out);
  StepCosts costs = only_bytes(1e9);
  auto bytes = costs.exchange;
  costs.exchange = [bytes](const Exchange& exchange) { // of the loss's parts, one number a sample
    return exchange.type.shape.size() < 2 ? 0 : bytes(exchange);
  };
  const UncutStep uncut = prepare(text, batch);
  PartitionProblem problem = partition_problem(uncut.whole(), 2, costs);
  for (int layer : {0, 1}) // the input and what feeds
    for (Choice& choice : problem.search.layers[static_cast<size_t>(layer)].choices)
      if (choice.name != "data")
        choice.seconds = std::numeric_limits<double>::infinity();
  for (Choice& choice : problem.search.layers[2].choices) // all work together
    if (choice.name == "whole" || choice.name == "device 0")
      choice.seconds = std::numeric_limits<double>::infinity();
  const int chosen = best(problem.search).choices[2];
  return std::string(to_string(problem.cuts[2][static_cast<size_t>(chosen)].cut));
}

TEST(PartitionSearch, LayersChangeSidesWhereTheArithmeticSays) {
  struct Crossover {
    int64_t in, out;
    std::string below;
    int64_t batch;
  };
  // For two devices: by output features while B < out; by input features while
  // B < in out / (out + in / 2).
  for (const Crossover& c :
       {Crossover{4096, 4096, "filter", 4096}, Crossover{9216, 4096, "channel", 4337},
        Crossover{4096, 1000, "channel", 1344}}) {
    EXPECT_EQ(cheapest_cut(c.in, c.out, c.batch - 1), c.below) << c.in << " to " << c.out;
    EXPECT_EQ(cheapest_cut(c.in, c.out, c.batch), "data") << c.in << " to " << c.out;
    EXPECT_EQ(cheapest_cut(c.in, c.out, 128), c.below) << c.in << " to " << c.out;
    std::printf("%lld to %lld features: %s below a batch of %lld, data from there on\n",
                static_cast<long long>(c.in), static_cast<long long>(c.out), c.below.c_str(),
                static_cast<long long>(c.batch));
  }
}

} // namespace
} // namespace netc::test
