// What correct files mean: defaults, short forms, wiring, and the graph they become.

#include "frontend/network.h"
#include "frontend/parameters.h"
#include "frontend/schema.h"
#include "ir/op.h"
#include "ir/strategy.h"
#include "tests/support/golden.h"

#include <nlohmann/json.hpp>

namespace netc {
namespace {

const std::string header = "name: net\ninput: {channels: 3, height: 32, width: 32}\n";

Network parse(const std::string& text) {
  Diagnostics diagnostics;
  auto network = parse_network(text, "net.yaml", diagnostics);
  EXPECT_TRUE(network) << diagnostics.render();
  return network.value_or(Network{});
}

Graph build(const Network& network, int64_t batch = 2) {
  Diagnostics diagnostics;
  Graph graph = build_forward(network, batch, diagnostics);
  EXPECT_EQ(diagnostics.render(), "");
  verify(graph);
  return graph;
}

Graph build(const std::string& text, int64_t batch = 2) {
  return build(parse(text), batch);
}

std::string type_of(const Graph& graph, const char* name) {
  const Value* value = graph.find(name);
  return value ? value->type.str() : "nothing";
}

TEST(Network, DefaultsOfEverySection) {
  Network network = parse(header + "layers:\n  - {name: r, type: relu}\n");
  const InputSpec& input = network.recipe.input;
  EXPECT_EQ(input.stored_height, 32);
  EXPECT_EQ(input.stored_width, 32);
  EXPECT_EQ(input.resize, Resize::cover);
  EXPECT_EQ(input.crop, Crop::center);
  EXPECT_EQ(input.mean, Mean::none);
  EXPECT_FALSE(input.flip);
  EXPECT_EQ(input.scale, 1);
  const TrainSpec& train = network.recipe.train;
  EXPECT_EQ(train.batch, 128);
  EXPECT_EQ(train.epochs, 1);
  EXPECT_EQ(train.seed, 1u);
  EXPECT_EQ(train.optimizer.rate, 0.01);
  EXPECT_EQ(train.optimizer.momentum, 0.9);
  EXPECT_EQ(train.optimizer.decay, 0);
  EXPECT_EQ(train.schedule.kind, ScheduleSpec::Kind::constant);
  EXPECT_EQ(network.partition.devices, 1);
}

TEST(Network, ReadsEverySectionInBlockStyle) {
  Network network = parse(R"(# comments and blank lines are free

name: "net-1"
input:
  channels: 1
  height: 24
  width: 20
  stored: [28, 26]
  mean: [127.5]
  crop: random
  resize: warp
  flip: True
  scale: 1e-2
layers:
- name: fc
  type: linear
  features: 10
  bias: false
train:
  batch: 32
  epochs: 2.5
  seed: 7
  optimizer: {rate: .1, momentum: 0, decay: 5E-4}
  parameters:
  - match: "*.weight"
    rate: 0.5
  schedule:
    type: steps
    factor: 0.5
    at: [1, 1.5]
partition: {devices: 2, strategy: towers}
)");
  const InputSpec& input = network.recipe.input;
  EXPECT_EQ(network.recipe.name, "net-1");
  EXPECT_EQ(input.stored_height, 28);
  EXPECT_EQ(input.stored_width, 26);
  EXPECT_EQ(input.mean, Mean::values);
  EXPECT_EQ(input.mean_values, std::vector<double>{127.5});
  EXPECT_EQ(input.resize, Resize::warp);
  EXPECT_EQ(input.crop, Crop::random);
  EXPECT_TRUE(input.flip);
  EXPECT_EQ(input.scale, 0.01);
  const TrainSpec& train = network.recipe.train;
  EXPECT_EQ(train.epochs, 2.5);
  EXPECT_EQ(train.seed, 7u);
  EXPECT_EQ(train.optimizer.rate, 0.1);
  EXPECT_EQ(train.optimizer.decay, 5e-4);
  EXPECT_EQ(train.parameters.at(0).rate, 0.5);
  EXPECT_EQ(train.schedule.kind, ScheduleSpec::Kind::steps);
  EXPECT_EQ(train.schedule.factor, 0.5);
  EXPECT_EQ(train.schedule.at, (std::vector<double>{1, 1.5}));
  EXPECT_EQ(network.partition.strategy, "towers");
}

TEST(Network, OneMeanStandsForAllChannels) {
  Network network = parse("name: net\ninput: {channels: 3, height: 8, width: 8, mean: 128}\n"
                          "layers: [{name: r, type: relu}]\n");
  EXPECT_EQ(network.recipe.input.mean_values, (std::vector<double>{128, 128, 128}));
}

TEST(Network, ShortFormsOfLists) {
  Network network = parse(header + R"(layers:
  - {name: a, type: conv2d, filters: 4, kernel: 3, stride: 2, pad: 1}
  - {name: b, type: conv2d, filters: 4, kernel: [3, 5], pad: [1, 2]}
  - {name: c, type: conv2d, filters: 4, kernel: 3, pad: [0, 1, 2, 3]}
)");
  using List = std::vector<int64_t>;
  EXPECT_EQ(network.layers[0].keys.integers("kernel"), (List{3, 3}));
  EXPECT_EQ(network.layers[0].keys.integers("pad"), (List{1, 1, 1, 1}));
  EXPECT_EQ(network.layers[1].keys.integers("pad"), (List{1, 2, 1, 2}));
  EXPECT_EQ(network.layers[2].keys.integers("pad"), (List{0, 1, 2, 3}));
  EXPECT_EQ(network.layers[2].keys.integers("dilation"), (List{1, 1}));
  EXPECT_EQ(network.layers[1].from, std::vector<std::string>{"a"});
}

TEST(Network, AnchorsByteOrderMarkAndCarriageReturns) {
  Network network = parse("\xef\xbb\xbfname: net\r\ninput: {channels: 3, height: 32, width: 32}\r\n"
                          "layers:\r\n"
                          "  - {name: a, type: conv2d, filters: 4, kernel: 3, init: &i {gaussian: "
                          "0.1}}\r\n"
                          "  - {name: b, type: conv2d, filters: 4, kernel: 3, init: *i}\r\n");
  EXPECT_EQ(network.recipe.name, "net");
  EXPECT_EQ(network.layers.at(1).init.kind, "gaussian");
  EXPECT_EQ(network.layers.at(1).init.scale, 0.1);
}

TEST(Network, WarnsOfALayerThatNothingReads) {
  Network network = parse(header + R"(layers:
  - {name: a, type: relu}
  - {name: b, type: relu, from: data}
)");
  Diagnostics diagnostics;
  build_forward(network, 2, diagnostics);
  EXPECT_EQ(diagnostics.render(), "net.yaml:4:5: warning: nothing reads layer `a`\n"
                                  "    - {name: a, type: relu}\n      ^\n");
}

TEST(BuildForward, FeedsInputAndMean) {
  Graph graph = build("name: net\n"
                      "input: {channels: 3, height: 24, width: 20, stored: [28, 26], mean: "
                      "channel, crop: random, flip: true, scale: 0.5}\n"
                      "layers: [{name: r, type: relu}]\n");
  const Value* images = graph.find("images");
  ASSERT_NE(images, nullptr);
  EXPECT_EQ(images->type.str(), "u8[2,3,28,26]");
  EXPECT_EQ(images->layout, Layout::nhwc);
  EXPECT_EQ(type_of(graph, "sample_ids"), "i32[2]");
  EXPECT_EQ(type_of(graph, "epochs"), "i32[2]");
  EXPECT_EQ(type_of(graph, "seed"), "i32[2]");
  EXPECT_EQ(type_of(graph, "labels"), "nothing");
  EXPECT_EQ(type_of(graph, "data"), "f32[2,3,24,20]");
  const Node& mean = *graph.find("input.mean")->node;
  EXPECT_EQ(mean.attrs.text("init"), "data_mean");
  EXPECT_FALSE(mean.attrs.flag("trainable"));
  const Node& data = *graph.find("data")->node;
  EXPECT_TRUE(data.attrs.flag("random_crop"));
  EXPECT_TRUE(data.attrs.flag("flip"));
  EXPECT_EQ(data.attrs.real("scale"), 0.5);
  ASSERT_EQ(graph.outputs.size(), 1u);
  EXPECT_EQ(graph.outputs[0].name, "r");
  EXPECT_EQ(class_count(graph), 0);
}

TEST(BuildForward, ParametersFollowInitAndTheLastRuleThatMatches) {
  Graph graph = build(header + R"(layers:
  - {name: conv1, type: conv2d, filters: 8, kernel: 3, groups: 1, init: {gaussian: 0.01, bias: 1}}
  - {name: fc, type: linear, features: 10}
  - {name: loss, type: softmax_cross_entropy}
train:
  parameters:
    - {match: "*.bias", rate: 2, decay: 0}
    - {match: "fc.*", rate: 10}
)");
  const Attributes& weight = graph.find("conv1.weight")->node->attrs;
  EXPECT_EQ(weight.text("init"), "gaussian");
  EXPECT_EQ(weight.real("scale"), 0.01);
  EXPECT_EQ(weight.integer("fan_in"), 27);
  EXPECT_EQ(weight.real("rate"), 1);
  const Attributes& bias = graph.find("conv1.bias")->node->attrs;
  EXPECT_EQ(bias.text("init"), "constant");
  EXPECT_EQ(bias.real("scale"), 1);
  EXPECT_EQ(bias.real("rate"), 2);
  EXPECT_EQ(bias.real("decay"), 0);
  const Attributes& last = graph.find("fc.bias")->node->attrs;
  EXPECT_EQ(last.real("rate"), 10);
  EXPECT_EQ(last.real("decay"), 1);
  EXPECT_EQ(graph.find("fc.weight")->node->attrs.text("init"), "msra");
  EXPECT_EQ(class_count(graph), 10);
  EXPECT_EQ(graph.find("conv1.weight")->node->loc.str(), "net.yaml:4:5");
}

TEST(BuildForward, EveryLegalNameSurvivesTheTextForm) {
  Graph graph = build(header + "layers:\n  - {name: A-b_3, type: linear, features: 3}\n");
  EXPECT_EQ(print(parse_graph(print(graph))), print(graph));
}

TEST(BuildForward, TheExampleOfTheReadme) {
  const std::string readme = test::read_text(test::source_root() / "models/README.md");
  const std::string fence = "```yaml\n";
  const size_t begin = readme.find(fence) + fence.size();
  Graph graph = build(readme.substr(begin, readme.find("```", begin) - begin));
  EXPECT_EQ(class_count(graph), 10);
}

TEST(BuildForward, BranchesMeetAgain) {
  Graph graph = build(header + R"(layers:
  - {name: a, type: conv2d, filters: 4, kernel: 3, pad: 1}
  - {name: b, type: conv2d, filters: 4, kernel: 5, pad: 2, from: data}
  - {name: sum, type: add, from: [a, b]}
  - {name: both, type: concat, from: [sum, a, data]}
  - {name: flat, type: flatten}
)");
  EXPECT_EQ(type_of(graph, "both"), "f32[2,11,32,32]");
  EXPECT_EQ(graph.outputs.at(0).value->type.str(), "f32[2,11264]");
}

TEST(Globs, StarAndQuestionMark) {
  using frontend::matches;
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("*.bias", "conv1.bias"));
  EXPECT_FALSE(matches("*.bias", "conv1.bias2"));
  EXPECT_TRUE(matches("conv?.*", "conv1.weight"));
  EXPECT_FALSE(matches("conv?.*", "conv10.weight"));
  EXPECT_TRUE(matches("*a*b*", "xxaxxbxx"));
  EXPECT_FALSE(matches("*a*b", "xxaxxbxx"));
  EXPECT_FALSE(matches("", "a"));
  EXPECT_TRUE(matches("**", "a"));
}

TEST(Schema, CoversEverySectionAndLayer) {
  nlohmann::json schema = nlohmann::json::parse(json_schema());
  EXPECT_EQ(schema["required"], (nlohmann::json{"name", "input", "layers"}));
  EXPECT_TRUE(schema["properties"]["input"]["properties"].contains("stored"));
  size_t layers = 0;
  for (const OpDef* op : all_ops())
    layers += op->layer.has_value();
  const nlohmann::json& forms = schema["properties"]["layers"]["items"]["oneOf"];
  EXPECT_EQ(forms.size(), layers);
  EXPECT_EQ(forms[0]["properties"]["type"]["const"], "conv2d");
  EXPECT_TRUE(forms[0]["properties"].contains("init"));
}

TEST(Schema, OfStrategiesHasAFormForEachCut) {
  nlohmann::json schema = nlohmann::json::parse(strategy_schema());
  EXPECT_EQ(schema["required"], (nlohmann::json{"devices"}));
  const nlohmann::json& forms = schema["properties"]["layers"]["additionalProperties"]["oneOf"];
  ASSERT_EQ(forms.size(), cut_words().size() + 1);
  const auto device = std::find_if(forms.begin(), forms.end(), [](const nlohmann::json& form) {
    return form.contains("properties") && form["properties"]["cut"]["const"] == "device";
  });
  ASSERT_NE(device, forms.end());
  EXPECT_EQ((*device)["required"], (nlohmann::json{"cut", "device"}));
  EXPECT_EQ(forms.back()["enum"],
            (nlohmann::json{"follow", "whole", "data", "filter", "channel", "spatial"}));
}

} // namespace
} // namespace netc
