// Strategies by name and by file: what they mean for a network, and what is said of mistakes.

#include "frontend/strategy.h"
#include "ir/ops.h"
#include "tests/support/cut_steps.h"
#include "tests/support/golden.h"
#include "tools/driver/strategy.h"

#include <gmock/gmock.h>

#include <array>
#include <random>

namespace netc::test {
namespace {

using testing::HasSubstr;

/// 4 images of 16 x 16 pixels; conv2 and norm1 have two groups. Of flat3, passes leave no node.
constexpr const char* network_text = R"(name: small
input: {channels: 3, height: 16, width: 16}
layers:
  - {name: conv1, type: conv2d, filters: 8, kernel: 3, pad: 1}
  - {name: norm1, type: lrn, n: 5, k: 2, alpha: 1e-4, beta: 0.75, alpha_over_n: false, groups: 2}
  - {name: conv2, type: conv2d, filters: 8, kernel: 3, pad: 1, groups: 2}
  - {name: pool2, type: max_pool2d, kernel: 2, stride: 2, rounding: floor}
  - {name: conv3, type: conv2d, filters: 12, kernel: 3, pad: 1}
  - {name: pool3, type: max_pool2d, kernel: 2, stride: 2, rounding: floor}
  - {name: fc3, type: linear, features: 10}
  - {name: flat3, type: flatten}
  - {name: loss, type: softmax_cross_entropy}
train: {batch: 4}
)";

const Network& small() {
  static const Network network = network_of(network_text, "small.yaml");
  return network;
}

/// What is said of a strategy; empty when nothing is wrong with it.
std::string mistakes(const std::string& name, const Network& network, int devices) {
  try {
    cut_step(small(), resolve_strategy(name, network, devices));
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

Strategy parsed(const std::string& text) {
  Diagnostics diagnostics;
  std::optional<StrategyFile> file = parse_strategy(text, "s.yaml", diagnostics);
  EXPECT_EQ(diagnostics.render(), "");
  return file.value_or(StrategyFile{}).strategy;
}

// ---- Every file of strategy_errors/ is wrong; its golden text is all that is said about it.

const std::string folder = "tests/passes/strategy_errors/";

std::vector<std::string> bad_files() {
  std::vector<std::string> stems;
  for (const auto& entry : std::filesystem::directory_iterator(source_root() / folder))
    if (entry.path().extension() == ".yaml")
      stems.push_back(entry.path().stem().string());
  std::sort(stems.begin(), stems.end());
  return stems;
}

class BadStrategy : public testing::TestWithParam<std::string> {};

TEST_P(BadStrategy, IsExplained) {
  const std::string path = (source_root() / folder / (GetParam() + ".yaml")).string();
  Diagnostics diagnostics;
  std::optional<StrategyFile> file = parse_strategy(read_text(path), path, diagnostics);
  std::string text = mistakes(path, small(), file ? file->strategy.devices : 2);
  EXPECT_NE(text, "");
  const std::string prefix = (source_root() / folder).string();
  for (size_t at; (at = text.find(prefix)) != std::string::npos;)
    text.erase(at, prefix.size());
  expect_golden(folder + GetParam() + ".expected", text);
}

INSTANTIATE_TEST_SUITE_P(Files, BadStrategy, testing::ValuesIn(bad_files()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(BadStrategies, EveryGoldenTextHasItsFile) {
  for (const auto& entry : std::filesystem::directory_iterator(source_root() / folder))
    EXPECT_TRUE(
        std::filesystem::exists(std::filesystem::path(entry.path()).replace_extension("yaml")))
        << entry.path();
}

TEST(BadStrategies, NamesAreSuggestedAndListed) {
  EXPECT_EQ(mistakes("owtt", small(), 2),
            "error: there is no strategy `owtt`, did you mean `owt`?\n"
            "note: strategies are single, data, zero, towers, towers-rank0, filter, channel, owt, "
            "owt-b, owt-c, spatial, pipeline, pipeline-1f1b, auto; or name a strategy file\n");
}

TEST(BadStrategies, AFileThatIsNotThere) {
  EXPECT_EQ(mistakes("nowhere.yaml", small(), 2),
            "error: cannot read the strategy file `nowhere.yaml`\n"
            "note: instead of a file it may be a name: single, data, zero, towers, towers-rank0, "
            "filter, channel, owt, owt-b, owt-c, spatial, pipeline, pipeline-1f1b\n");
}

TEST(BadStrategies, AFileForAnotherNumberOfDevices) {
  const std::string path = (source_root() / folder / "bounds-count.yaml").string();
  EXPECT_EQ(mistakes(path, small(), 4), path +
                                            ":1:10: error: the strategy is for 2 devices, not "
                                            "for 4\n  devices: 2\n           ^\n"
                                            "note: ask for 2 devices, or for another strategy\n");
}

TEST(BadStrategies, TowersOfANetworkWithoutGroups) {
  std::string text = network_text;
  for (size_t at; (at = text.find(", groups: 2")) != std::string::npos;)
    text.erase(at, std::string(", groups: 2").size());
  const Network plain = network_of(text, "small.yaml");
  EXPECT_EQ(mistakes("towers", plain, 2),
            "error: the network has no towers: no convolution has groups\n"
            "note: the strategy `filter` needs no towers\n");
  EXPECT_THAT(mistakes("towers-rank0", plain, 2), HasSubstr("no convolution has groups"));
}

TEST(BadStrategies, TowersForTooManyDevices) {
  for (const char* name : {"towers", "towers-rank0"})
    EXPECT_EQ(mistakes(name, small(), 4),
              "error: the towers of `conv2` are 2 groups, which 4 devices cannot share evenly\n"
              "note: the strategy `filter` needs no towers\n");
}

TEST(BadStrategies, WhatASearchWroteIsCheckedToo) {
  Strategy strategy{.name = "made", .devices = 2};
  strategy.layers["conv1"] = {.cut = Cut::filter, .bounds = {0, 4}};
  strategy.layers["fc3"] = {.cut = Cut::device, .device = 2};
  try {
    cut_step(small(), strategy);
    FAIL() << "not refused";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("small.yaml:4:5: error: strategy `made`: layer `conv1`: "
                                        "`bounds` must have 3 numbers"));
    EXPECT_THAT(error.what(), HasSubstr("small.yaml:10:5: error: strategy `made`: layer `fc3`: "
                                        "there is no device 2, they are 0 to 1"));
  }
}

// Of two equal layers one has a node.
TEST(BadStrategies, EntriesOfLayersComputedOnceAreChecked) {
  const Network network = network_of(R"(name: twice
input: {channels: 3, height: 6, width: 6}
layers:
  - {name: conv1, type: conv2d, filters: 8, kernel: 3, pad: 1}
  - {name: first, type: relu, from: conv1}
  - {name: again, type: relu, from: conv1}
  - {name: sum, type: add, from: [first, again]}
  - {name: fc2, type: linear, features: 10}
  - {name: loss, type: softmax_cross_entropy}
train: {batch: 4}
)");
  Strategy strategy{.name = "made", .devices = 2};
  auto said = [&](const LayerCut& cut) -> std::string {
    strategy.layers["again"] = cut;
    try {
      cut_step(network, strategy);
    } catch (const UserError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(said({.cut = Cut::spatial, .bounds = {0, 2, 6}}), "");
  EXPECT_THAT(said({.cut = Cut::spatial, .bounds = {0, 2, 7}}), HasSubstr("must end at 6, as "));
  EXPECT_THAT(said({.cut = Cut::device, .device = 2}), HasSubstr("there is no device 2"));
  EXPECT_THAT(said({.cut = Cut::channel}), HasSubstr("cannot be cut by `channel`"));
}

// ---- What correct strategies mean.

TEST(StrategyFiles, SayWhatStandsInThem) {
  Strategy strategy = parsed(R"(# a comment
devices: 2
strategy: owt
layers:
  conv1: data
  fc6: {cut: filter, bounds: [0, 1, 4096]}
  fc7: {cut: channel, then: data}
  fc8: {cut: device, device: 1}
update: sharded
)");
  EXPECT_EQ(strategy.name, "s");
  EXPECT_EQ(strategy.devices, 2);
  EXPECT_TRUE(strategy.sharded_update);
  const std::map<std::string, LayerCut> layers = {
      {"conv1", {.cut = Cut::data}},
      {"fc6", {.cut = Cut::filter, .bounds = {0, 1, 4096}}},
      {"fc7", {.cut = Cut::channel, .then = Cut::data}},
      {"fc8", {.cut = Cut::device, .device = 1}}};
  EXPECT_EQ(strategy.layers, layers);
  EXPECT_EQ(strategy.layers["fc6"].loc.str(), "s.yaml:6:3");
  EXPECT_EQ(strategy.layers["fc6"].bounds_loc.str(), "s.yaml:6:30");
}

TEST(StrategyFiles, AreReadAsTheyWerePrinted) {
  Strategy strategy{.name = "s", .devices = 3, .sharded_update = true};
  for (const std::string& word : cut_words())
    strategy.layers[word] = {.cut = *parse_cut(word)};
  strategy.layers["bounds"] = {.cut = Cut::spatial, .bounds = {0, 7, 7, 13}};
  strategy.layers["sum"] = {.cut = Cut::channel, .then = Cut::filter, .bounds = {0, 1, 2, 9}};
  strategy.layers["last"] = {.cut = Cut::device, .device = 2};
  strategy.micro_batches = {8, Schedule::one_forward_one_backward};
  const std::string text = print(strategy);
  EXPECT_THAT(text, HasSubstr("\n  sum: {cut: channel, then: filter, bounds: [0, 1, 2, 9]}\n"));
  EXPECT_EQ(parsed(text), strategy);
  const Strategy nothing{.name = "s", .devices = 1};
  EXPECT_EQ(print(nothing), "devices: 1\n");
  EXPECT_EQ(parsed(print(nothing)), nothing);
}

TEST(StrategyFiles, EveryTruncationIsReadOrExplained) {
  const std::string text = "devices: 2\nstrategy: owt\nlayers:\n  fc3: {cut: filter, bounds: "
                           "[0, 4, 10]}\n  loss: {cut: device, device: 1}\nupdate: sharded\n";
  for (size_t length = 0; length <= text.size(); ++length) {
    Diagnostics diagnostics;
    auto file = parse_strategy(text.substr(0, length), "s.yaml", diagnostics);
    EXPECT_EQ(file.has_value(), !diagnostics.has_errors()) << length;
  }
}

class StrategyInAFile : public testing::Test {
protected:
  /// The strategy of a file with this text.
  Strategy resolved(const std::string& text, int devices = 2) {
    const std::filesystem::path path = binary_root() / "mine.yaml";
    std::ofstream(path) << text;
    return resolve_strategy(path.string(), small(), devices);
  }
};

TEST_F(StrategyInAFile, StandsOnANamedOne) {
  Strategy strategy = resolved("devices: 2\nstrategy: zero\nlayers: {fc3: filter}\n");
  EXPECT_EQ(strategy.name, "mine");
  EXPECT_TRUE(strategy.sharded_update);
  EXPECT_EQ(strategy.layers.at("fc3").cut, Cut::filter);
  EXPECT_EQ(strategy.layers.at("conv1").cut, Cut::data);
  EXPECT_FALSE(resolved("devices: 2\nstrategy: zero\nupdate: replicated\n").sharded_update);
  EXPECT_TRUE(resolved("devices: 2\n").layers.empty());
}

TEST_F(StrategyInAFile, TakesMicroBatchesFromTheNamedOne) {
  const MicroBatches usual = resolved("devices: 2\nstrategy: pipeline\n").micro_batches;
  EXPECT_EQ(usual, (MicroBatches{4, Schedule::gpipe}));
  EXPECT_EQ(resolved("devices: 2\nstrategy: pipeline-1f1b\nmicro_batches: 2\n").micro_batches,
            (MicroBatches{2, Schedule::one_forward_one_backward}));
  EXPECT_EQ(resolved("devices: 2\nstrategy: owt-b\nschedule: round-robin\n").micro_batches,
            (MicroBatches{2, Schedule::round_robin}));
  EXPECT_EQ(resolved("devices: 2\nmicro_batches: 3\n").micro_batches,
            (MicroBatches{3, Schedule::gpipe}));
}

TEST_F(StrategyInAFile, LayersFollowUnevenBoundsInProportion) {
  std::vector<Graph> graphs =
      cut_step(small(), resolved("devices: 2\nlayers:\n"
                                 "  data: {cut: data, bounds: [0, 1, 4]}\n"
                                 "  conv2: {cut: filter, bounds: [0, 4, 8]}\n"
                                 "  conv3: {cut: spatial, bounds: [0, 2, 8]}\n"));
  auto shape = [&](size_t device, const char* name) {
    return graphs[device].find(name)->type.shape;
  };
  EXPECT_EQ(shape(0, "conv1"), (Shape{1, 8, 16, 16}));
  EXPECT_EQ(shape(1, "conv1"), (Shape{3, 8, 16, 16}));
  EXPECT_EQ(shape(1, "conv2"), (Shape{4, 4, 16, 16}));
  EXPECT_EQ(shape(0, "pool3"), (Shape{4, 12, 1, 4}));
  EXPECT_EQ(shape(1, "pool3"), (Shape{4, 12, 3, 4}));
}

/// The shapes of all parameters of the devices, by name.
std::vector<std::map<std::string, Shape>> parameters_of(const std::vector<Graph>& graphs) {
  std::vector<std::map<std::string, Shape>> list;
  for (const Graph& graph : graphs) {
    auto& shapes = list.emplace_back();
    for (const auto& node : graph.nodes)
      if (node->op == &ops::parameter && node->attrs.flag("trainable"))
        shapes[node->name] = node->result()->type.shape;
  }
  return list;
}

// Inverted dropout is nothing at inference, but what follows it stays as it is cut in training.
TEST(StrategyMeanings, TrainingAndInferenceHaveTheSameParameters) {
  const Network network = network_of(R"(name: dropping
input: {channels: 3, height: 4, width: 4}
layers:
  - {name: fc1, type: linear, features: 8}
  - {name: drop1, type: dropout, mode: inverted}
  - {name: drop2, type: dropout, mode: inverted}
  - {name: fc2, type: linear, features: 8}
  - {name: loss, type: softmax_cross_entropy}
train: {batch: 4}
)");
  for (const char* layer : {"drop1", "drop2"}) {
    Strategy strategy{.name = "made", .devices = 2};
    strategy.layers[layer] = {.cut = Cut::filter};
    const auto parameters = parameters_of(cut_step(network, strategy));
    EXPECT_EQ(parameters[1].at("fc2.weight"), (Shape{4, 8})) << layer;
    EXPECT_EQ(parameters_of(cut_step(network, strategy, Mode::infer)), parameters) << layer;
  }
}

// What several layers read is cut as the layer that gives it, and so is its gradient.
TEST(StrategyMeanings, SumsOfGradientsAreCutAsTheirValue) {
  const Network network = network_of(R"(name: branches
input: {channels: 3, height: 4, width: 4}
layers:
  - {name: conv1, type: conv2d, filters: 8, kernel: 3, pad: 1}
  - {name: relu1, type: relu}
  - {name: conv2, type: conv2d, filters: 8, kernel: 3, pad: 1}
  - {name: join, type: add, from: [relu1, conv2]}
  - {name: fc3, type: linear, features: 8}
  - {name: loss, type: softmax_cross_entropy}
train: {batch: 4}
)");
  Strategy strategy{.name = "made", .devices = 2};
  strategy.layers = {{"data", {.cut = Cut::data}}, {"conv2", {.cut = Cut::filter}}};
  strategy.layers["join"] = {.cut = Cut::data};
  for (const Graph& graph : cut_step(network, strategy))
    EXPECT_EQ(graph.find("relu1.grad_sum")->type.shape, (Shape{2, 8, 4, 4}));
}

// Devices without a parameter have no part in its update.
TEST(StrategyMeanings, ShardedUpdatesAreThoseOfWhoHoldsTheParameter) {
  Strategy strategy{.name = "made", .devices = 3, .sharded_update = true};
  strategy.layers["data"] = {.cut = Cut::data, .bounds = {0, 2, 2, 4}};
  const std::vector<Graph> graphs = cut_step(small(), strategy);
  for (size_t device : {0, 2}) {
    EXPECT_EQ(graphs[device].find("fc3.weight")->type.shape, (Shape{10, 192}));
    EXPECT_EQ(graphs[device].find("fc3.weight.update")->type.shape, (Shape{5, 192}));
  }
  EXPECT_EQ(graphs[1].find("fc3.weight"), nullptr);
  EXPECT_EQ(graphs[1].find("fc3.weight.update"), nullptr);
}

/// Any cut for some of the layers; bounds ascend and may end anywhere near the layer's own.
Strategy random_strategy(std::mt19937& random) {
  auto below = [&](size_t limit) { return static_cast<int>(random() % limit); };
  const std::vector<std::string> words = cut_words();
  auto word = [&] { return *parse_cut(words[random() % words.size()]); };
  Strategy strategy{.name = "random", .devices = 2 + below(3), .sharded_update = below(2) == 0};
  for (const LayerPlace& place : places_of(small())) {
    LayerCut cut{.cut = word(), .device = below(static_cast<size_t>(strategy.devices))};
    if (cut.cut == Cut::channel && below(2))
      cut.then = std::array{Cut::whole, Cut::data, Cut::filter, Cut::spatial}[random() % 4];
    if (below(3) == 0) {
      cut.bounds = {0, std::array{3, 4, 8, 10, 12, 16}[random() % 6]};
      while (static_cast<int>(cut.bounds.size()) < strategy.devices + 1)
        cut.bounds.push_back(below(static_cast<size_t>(cut.bounds[1]) + 1));
      std::sort(cut.bounds.begin(), cut.bounds.end());
    }
    if (below(2))
      strategy.layers[place.name] = cut;
  }
  return strategy;
}

TEST(RandomStrategies, AreRefusedOrGiveGraphsThatVerify) {
  std::mt19937 random(1);
  int legal = 0, refused = 0;
  for (int round = 0; round < 600; ++round) {
    Strategy strategy = random_strategy(random);
    try {
      cut_step(small(), strategy);
      ++legal;
    } catch (const UserError&) {
      ++refused;
    } catch (const std::exception& error) {
      FAIL() << error.what() << "\n" << print(strategy);
    }
  }
  EXPECT_GT(legal, 100);
  EXPECT_GT(refused, 100);
}

} // namespace
} // namespace netc::test
