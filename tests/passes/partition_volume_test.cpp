// Bytes that the strategies move for AlexNet, read off the graphs of the devices, against the
// figures of the published analyses.

#include "tests/support/cut_steps.h"
#include "tests/support/golden.h"
#include "tools/driver/compile.h"
#include "tools/driver/strategy.h"

#include "passes/partition/strategies.h"

#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include <numeric>

namespace netc::test {
namespace {

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  for (size_t at; (at = text.find(what)) != std::string::npos;)
    text.replace(at, what.size(), with);
  return text;
}

const Network& alexnet() {
  static const Network network = network_of(read_text(source_root() / "models/alexnet.yaml"));
  return network;
}

/// Without groups in convolutions, where they stand before the end of a line. LRN, where they end
/// the entry, has a group for each device: what it would exchange the analyses do not count.
Network ungrouped(int devices) {
  std::string text = read_text(source_root() / "models/alexnet.yaml");
  text = replaced(std::move(text), " groups: 2,\n", "\n");
  return network_of(replaced(std::move(text), "groups: 2}", fmt::format("groups: {} }}", devices)));
}

/// Without groups in LRN, where they end the entry.
const Network& untowered_lrn() {
  static const Network network =
      network_of(replaced(read_text(source_root() / "models/alexnet.yaml"), ", groups: 2}", "}"));
  return network;
}

std::vector<Exchange> exchanges(const Network& network, const Strategy& strategy) {
  const std::vector<Graph> graphs = cut_step(network, strategy);
  std::vector<Exchange> list = exchanges_of(graphs[0]);
  for (const Graph& graph : graphs)
    EXPECT_EQ(exchanges_of(graph), list) << strategy.name;
  return list;
}

std::vector<Exchange> exchanges(const Network& network, const std::string& strategy, int devices) {
  return exchanges(network, resolve_strategy(strategy, network, devices));
}

/// Millions of bytes that each device sends.
std::vector<double> megabytes(const std::vector<Exchange>& list, int devices) {
  std::vector<double> sent(static_cast<size_t>(devices), 0);
  for (const Exchange& exchange : list) {
    const auto bytes = bytes_sent(exchange);
    for (size_t from = 0; from < bytes.size(); ++from)
      sent[from] +=
          static_cast<double>(std::accumulate(bytes[from].begin(), bytes[from].end(), int64_t{0})) /
          1e6;
  }
  return sent;
}

std::vector<double> megabytes(const Network& network, const std::string& strategy, int devices) {
  return megabytes(exchanges(network, strategy, devices), devices);
}

struct Volume {
  const char* strategy;
  int devices;
  double megabytes; ///< That each device sends.
  bool grouped = true;
};

class PartitionVolume : public testing::TestWithParam<Volume> {};

TEST_P(PartitionVolume, IsAsPublished) {
  const Volume& v = GetParam();
  std::vector<double> sent =
      megabytes(v.grouped ? alexnet() : ungrouped(v.devices), v.strategy, v.devices);
  RecordProperty("megabytes", fmt::format("{:.3f}", fmt::join(sent, " ")));
  for (double each : sent)
    EXPECT_NEAR(each, v.megabytes, 0.1);
}

INSTANTIATE_TEST_SUITE_P(
    AlexNet, PartitionVolume,
    testing::Values(Volume{"single", 2, 0}, Volume{"data", 2, 243.9}, Volume{"data", 4, 365.8},
                    Volume{"data", 8, 426.8}, Volume{"towers", 2, 31.1},
                    Volume{"towers-rank0", 2, 30.0}, Volume{"owt", 2, 18.3}, Volume{"owt", 4, 27.4},
                    Volume{"owt", 8, 31.9}, Volume{"owt-b", 2, 18.3}, Volume{"owt-b", 4, 27.4},
                    Volume{"owt-b", 8, 31.9}, Volume{"owt-c", 2, 18.3}, Volume{"owt-c", 4, 27.4},
                    Volume{"owt-c", 8, 31.9}, Volume{"filter", 2, 133.4, false},
                    Volume{"filter", 4, 200.0, false}, Volume{"filter", 8, 233.4, false}),
    [](const auto& info) {
      std::string name = fmt::format("{}_{}", info.param.strategy, info.param.devices);
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

TEST(PartitionVolumes, WithoutGroupsTheNetworkIsThePublishedOne) {
  int64_t parameters = 0;
  for (const LayerRow& row : layer_table(ungrouped(2), 1))
    parameters += row.parameters;
  EXPECT_EQ(parameters, 62'378'344);
}

/// Layers up to `last` on device 0, those behind it on device 1.
Strategy pipeline_behind(const std::string& last, MicroBatches micro_batches) {
  Strategy strategy{.name = last, .devices = 2, .micro_batches = micro_batches};
  int device = 0;
  for (const LayerPlace& place : places_of(alexnet())) {
    strategy.layers[place.name] = {.cut = Cut::device, .device = device};
    device += place.name == last;
  }
  return strategy;
}

TEST(PartitionVolumes, PipelinesSendActivationsForwardAndGradientsBack) {
  for (auto [last, megabytes_sent] : {std::pair{"pool2", 22.2}, {"pool5", 4.7}})
    for (int count : {1, 2, 4, 8})
      for (Schedule schedule : {Schedule::gpipe, Schedule::one_forward_one_backward}) {
        const std::vector<Exchange> list =
            exchanges(alexnet(), pipeline_behind(last, {count, schedule}));
        EXPECT_EQ(list.size(), static_cast<size_t>(2 * count));
        for (double each : megabytes(list, 2))
          EXPECT_NEAR(each, megabytes_sent, 0.05) << last << " in " << count;
      }
}

/// Normalisation over the border of the towers. The analyses count 7.7 MB: the result reads 2
/// channels of its neighbour, and the gradient 2 of one product. Here the gradient recomputes that
/// product, and the scales in it, from x and dy: of both it reads 4 channels of the neighbour. The
/// 3.84 MB of 2 channels before pool1 and pool2 are thus sent 1 + 2 + 2 times.
TEST(PartitionVolumes, NormalisationOverTheBorderOfTowersNeedsHalos) {
  const double two_channels = 128 * 2 * (55 * 55 + 27 * 27) * 4 / 1e6;
  std::vector<double> with = megabytes(untowered_lrn(), "towers", 2);
  std::vector<double> without = megabytes(alexnet(), "towers", 2);
  RecordProperty("megabytes", fmt::format("{:.3f}", with[0] - without[0]));
  for (size_t d = 0; d < with.size(); ++d)
    EXPECT_NEAR(with[d] - without[d], 5 * two_channels, 1e-3);
}

// Of two branches, the second reads a part of what the first was brought.
TEST(PartitionVolumes, WhatWasBroughtIsNotSentAgain) {
  const Network network = network_of(R"(name: branches
input: {channels: 3, height: 4, width: 4}
layers:
  - {name: conv1, type: conv2d, filters: 8, kernel: 3, pad: 1}
  - {name: conv2, type: conv2d, filters: 8, kernel: 3, pad: 1, from: conv1}
  - {name: conv3, type: conv2d, filters: 8, kernel: 3, pad: 1, groups: 2, from: conv1}
  - {name: join, type: add, from: [conv2, conv3]}
  - {name: fc4, type: linear, features: 8}
  - {name: loss, type: softmax_cross_entropy}
train: {batch: 4}
)");
  Strategy strategy{.name = "made", .devices = 2};
  strategy.layers = {{"data", {.cut = Cut::data}}, {"conv3", {.cut = Cut::filter}}};
  strategy.layers["conv2"] = {.cut = Cut::whole};
  std::vector<std::string> kinds;
  for (const Exchange& each : exchanges(network, strategy))
    if (each.name.starts_with("conv1.add_bias.exchange"))
      kinds.emplace_back(to_string(each.kind()));
  EXPECT_THAT(kinds, testing::ElementsAre("all-gather", "slice"));
}

/// `3 all-gather (8.9 MB), ...`: by kind, how many there are and what they send.
std::string summary(const std::vector<Exchange>& list) {
  std::map<std::string_view, std::pair<int, int64_t>> kinds;
  for (const Exchange& exchange : list) {
    auto& [count, bytes] = kinds[to_string(exchange.kind())];
    ++count;
    for (const std::vector<int64_t>& from : bytes_sent(exchange))
      bytes = std::accumulate(from.begin(), from.end(), bytes);
  }
  if (kinds.empty())
    return "nothing";
  std::vector<std::string> parts;
  for (const auto& [kind, sums] : kinds)
    parts.push_back(
        fmt::format("{} {} ({:.1f} MB)", sums.first, kind, static_cast<double>(sums.second) / 1e6));
  return fmt::format("{}", fmt::join(parts, ", "));
}

TEST(PartitionVolumes, ExchangesOfEveryStrategy) {
  std::string table = "AlexNet, 128 images, 2 devices: exchanges, and what both devices send\n";
  for (const NamedStrategy& named : named_strategies())
    table += fmt::format("{:<13} {}\n", named.name, summary(exchanges(alexnet(), named.name, 2)));
  expect_golden("tests/passes/goldens/partition-exchanges.txt", table);
}

} // namespace
} // namespace netc::test
