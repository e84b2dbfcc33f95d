// What is made of measurements: links, times by key, efficiencies, and what is kept of them.

#include "frontend/machine.h"
#include "ir/ops.h"
#include "tests/runtime/temporary_folder.h"
#include "tools/partition/calibration.h"
#include "tools/partition/exchange_chains.h"
#include "tools/partition/step_times.h"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <random>

namespace netc::test {
namespace {

MachineProfile machine(const LinkProfile& link, size_t devices) {
  const DeviceProfile device{
      .name = "d", .flops_per_second = 1e11, .bytes_per_second = 2e10, .launch_seconds = 1e-6};
  return {"m", std::vector<DeviceProfile>(devices, device), link};
}

/// What the chains take on that machine, each times a factor.
template <class Factor>
std::vector<LinkSample> samples_on(const MachineProfile& machine, const Factor& factor) {
  std::vector<LinkSample> samples;
  for (const ExchangeChain& chain : exchange_chains(static_cast<int>(machine.devices.size()))) {
    samples.push_back({chain.name, chain.exchanges, 0});
    samples.back().seconds = predicted_seconds(samples.back(), machine) * factor(samples.size());
  }
  return samples;
}

const LinkProfile links[] = {{2e-6, 8e9, true, false},
                             {20e-6, 6e9, false, false},
                             {5e-6, 1.5e10, true, true},
                             {0, 1e10, true, false}};

TEST(LinkFit, FindsWhatExactTimesCameFrom) {
  for (const LinkProfile& link : links) {
    const MachineProfile truth = machine(link, 4);
    const LinkProfile fitted = fit_link(samples_on(truth, [](size_t) { return 1.0; }), truth);
    EXPECT_NEAR(fitted.latency_seconds, link.latency_seconds, 1e-12);
    EXPECT_NEAR(fitted.bytes_per_second / link.bytes_per_second, 1, 1e-9);
    EXPECT_EQ(fitted.full_duplex, link.full_duplex);
    EXPECT_EQ(fitted.shared, link.shared);
  }
}

TEST(LinkFit, NoiseAndOutliersChangeLittle) {
  std::mt19937 random(7);
  for (const LinkProfile& link : links)
    for (const size_t devices : {2u, 3u}) {
      const MachineProfile truth = machine(link, devices);
      std::uniform_real_distribution<double> noise(0.97, 1.03);
      auto disturbed = [&](size_t i) { return i % 5 == 0 ? 6.0 : noise(random); };
      MachineProfile fitted = truth;
      fitted.link = fit_link(samples_on(truth, disturbed), truth);
      EXPECT_NEAR(fitted.link.latency_seconds, link.latency_seconds,
                  0.05 * link.latency_seconds + 1e-8);
      EXPECT_NEAR(fitted.link.bytes_per_second / link.bytes_per_second, 1, 0.05);
      // The error tells of the outliers: a fifth is six times what it should be.
      EXPECT_NEAR(link_error(samples_on(truth, disturbed), fitted), 0.2 * 5 / 6, 0.05);
    }
}

TEST(LinkFit, SaysWhenNothingFits) {
  const MachineProfile two = machine(links[0], 2);
  EXPECT_THROW(fit_link({}, two), RuntimeError);
}

TEST(ExchangeChains, HaveWhatTheyMoveAndOneProgramADevice) {
  EXPECT_TRUE(exchange_chains(1).empty());
  for (const int devices : {2, 3})
    for (const ExchangeChain& chain : exchange_chains(devices)) {
      ASSERT_EQ(chain.graphs.size(), static_cast<size_t>(devices)) << chain.name;
      for (const Graph& graph : chain.graphs) {
        verify(graph);
        const auto count = std::count_if(graph.nodes.begin(), graph.nodes.end(),
                                         [](const auto& n) { return n->op == &ops::exchange; });
        EXPECT_EQ(static_cast<size_t>(count), chain.exchanges.size()) << chain.name;
      }
      for (const Traffic& traffic : chain.exchanges)
        EXPECT_GT(traffic.all_bytes(), 0) << chain.name;
    }
}

Graph linear_graph(const std::string& name, int64_t batch) {
  Graph graph("g");
  GraphBuilder builder(graph);
  Value* x = builder.value(ops::feed, "x", {}, {{"shape", std::vector<int64_t>{batch, 8}}});
  Value* w = builder.value(ops::parameter, "w", {}, {{"shape", std::vector<int64_t>{4, 8}}});
  graph.outputs.push_back({"y", builder.value(ops::linear, name, {x, w})});
  return graph;
}

const Node& last_node(const Graph& graph) {
  return *graph.nodes.back();
}

std::vector<Graph> two(Graph first, Graph second) {
  std::vector<Graph> graphs;
  graphs.push_back(std::move(first));
  graphs.push_back(std::move(second));
  return graphs;
}

TEST(StepTimes, TheSameWorkOnTwoDevicesIsOneKey) {
  const std::vector<Graph> same = two(linear_graph("a", 2), linear_graph("b", 2)),
                           uneven = two(linear_graph("a", 2), linear_graph("a", 3));
  MeasuredTimes times{.seconds = {{node_key(last_node(same[0])), 1}}};
  EXPECT_TRUE(knows(times, same));
  EXPECT_FALSE(knows(times, uneven));
  merge(times, {.seconds = {{node_key(last_node(uneven[1])), 2}}});
  EXPECT_TRUE(knows(times, uneven));
  EXPECT_EQ(busy_devices(same), 2);
  EXPECT_EQ(busy_devices(two(linear_graph("a", 2), Graph("idle"))), 1);
}

TEST(StepTimes, WhatKernelsReachAreSharesOfThePeaks) {
  const std::vector<Graph> graphs = two(linear_graph("a", 64), linear_graph("b", 128));
  DeviceProfile device = machine(links[0], 1).devices[0];
  device.launch_seconds = 1e-9;
  DeviceProfile quarter = device;
  quarter.compute_efficiency = quarter.memory_efficiency = 0.25;
  MeasuredTimes times;
  for (const Graph& graph : graphs)
    times.seconds[node_key(last_node(graph))] = node_seconds(last_node(graph), quarter);
  const auto reached = reached_shares(graphs, times, device);
  ASSERT_EQ(reached.size(), 1u);
  ASSERT_EQ(reached.at("linear").size(), 2u);
  for (const auto& [seconds, share] : reached.at("linear"))
    EXPECT_NEAR(share, 0.25, 1e-9);
  EXPECT_NEAR(mean_share(reached.at("linear")), 0.25, 1e-9);
}

TEST(StepTimes, NodesWithoutATimeReachWhatThoseOfTheirSizeDo) {
  DeviceProfile device = machine(links[0], 1).devices[0];
  auto seconds = [&](int64_t batch, const MeasuredTimes& times) {
    const Graph graph = linear_graph("g", batch);
    return node_seconds(last_node(graph), device, &times);
  };
  auto at_peaks = [&](int64_t batch) {
    const Graph graph = linear_graph("g", batch);
    return peak_seconds(last_node(graph), device);
  };
  const double small = at_peaks(64), large = at_peaks(6400), launch = device.launch_seconds;
  const MeasuredTimes times{.seconds = {}, .reached = {{"linear", {{small, 0.2}, {large, 0.8}}}}};
  EXPECT_NEAR(seconds(1, times), at_peaks(1) / 0.2 + launch, 1e-12);
  EXPECT_NEAR(seconds(64000, times), at_peaks(64000) / 0.8 + launch, 1e-12);
  const double way = std::log(at_peaks(640) / small) / std::log(large / small);
  EXPECT_NEAR(seconds(640, times), at_peaks(640) / (0.2 + 0.6 * way) + launch, 1e-12);
  EXPECT_EQ(seconds(640, {.seconds = {}, .reached = {{"tanh", {{small, 0.2}}}}}),
            seconds(640, {.seconds = {}}))
      << "of another operator";
}

TEST(StepTimes, NewerSharesReplaceThoseOfTheSameSize) {
  MeasuredTimes times{.seconds = {}, .reached = {{"linear", {{1, 0.1}, {1.02, 0.1}, {2, 0.5}}}}};
  merge(times, {.seconds = {}, .reached = {{"linear", {{1.01, 0.4}}}, {"tanh", {{3, 0.3}}}}});
  EXPECT_EQ(times.reached.at("linear"), (ReachedShares{{1.01, 0.4}, {2, 0.5}}));
  EXPECT_EQ(times.reached.at("tanh"), (ReachedShares{{3, 0.3}}));
  EXPECT_NEAR(mean_share(times.reached.at("linear")), 3.01 / (1.01 / 0.4 + 4), 1e-12);
}

Calibration calibration() {
  return {"processor: p \"q\"\ndevices: 2\n",
          "2026-01-02",
          machine(links[0], 2),
          {{1, {.seconds = {{"a", 1e-3}, {"b", 2}}}},
           {2,
            {.seconds = {{"a", 0.1 + 0.2}},
             .shares = {{"c", 3}},
             .reached = {{"conv2d", {{1e-3, 0.5}}}}}},
           {4, {.seconds = {{"a", 8}, {"b", 9}}}}}};
}

TEST(Calibration, ComesBackWhereTheFingerprintMatches) {
  TemporaryFolder folder;
  const Calibration kept = calibration();
  save(kept, folder / "cache");
  EXPECT_EQ(load_calibration(kept.fingerprint, folder / "cache"), kept);
  EXPECT_FALSE(load_calibration("another machine", folder / "cache"));
  // Even where somebody renamed the file, or it is damaged.
  std::filesystem::copy_file(calibration_file(kept.fingerprint, folder / "cache"),
                             calibration_file("another machine", folder / "cache"));
  EXPECT_FALSE(load_calibration("another machine", folder / "cache"));
  for (const char* damaged : {"", "{", "{\"format\": 1}", "[]"}) {
    std::ofstream(calibration_file(kept.fingerprint, folder / "cache")) << damaged;
    EXPECT_FALSE(load_calibration(kept.fingerprint, folder / "cache")) << damaged;
  }
}

TEST(Calibration, TimesAreThoseOfAsManyBusyDevicesWhereThereAreAny) {
  EXPECT_EQ(times_for(calibration(), 1).seconds,
            (std::map<std::string, double>{{"a", 1e-3}, {"b", 2}}));
  const MeasuredTimes of_two = times_for(calibration(), 2);
  EXPECT_EQ(of_two.seconds.at("a"), 0.1 + 0.2);
  EXPECT_EQ(of_two.seconds.at("b"), 2); // one is nearer to two than four is
  EXPECT_EQ(of_two.shares.at("c"), 3);
  EXPECT_EQ(times_for(calibration(), 3).seconds.at("a"), 8); // of four: more devices, more waiting
}

TEST(Calibration, IsAMachinesFile) {
  const Calibration kept = calibration();
  const std::string text = machine_file(kept);
  EXPECT_THAT(text, testing::HasSubstr("# processor: p \"q\"\n# devices: 2\n"));
  EXPECT_THAT(text, testing::HasSubstr("2026-01-02"));
  Diagnostics diagnostics;
  EXPECT_EQ(parse_machine(text, "m.yaml", diagnostics), kept.machine) << diagnostics.render();
}

} // namespace
} // namespace netc::test
