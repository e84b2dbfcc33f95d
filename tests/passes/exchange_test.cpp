// What passes must keep of exchanges: all of them, in their order, and no memory too early.

#include "passes/live_ranges.h"
#include "tests/passes/pass_support.h"

#include <gtest/gtest.h>

namespace netc::test {
namespace {

/// The graph of one device: sums that all have, and a tensor that only passes through.
const char* const text = R"(graph device0 {
  %x = feed() {dtype = "f32", shape = [8]} : f32[8]
  %w = parameter() {at = [4], decay = 1.0, dtype = "f32", fan_in = 1, fan_out = 1, init = "constant", rate = 1.0, scale = 0.0, shape = [4], trainable = true, whole = [8]} : f32[4]
  %a = relu(%x) : f32[8]
  exchange(%a) {device = 0, dtype = "f32", from = "[0:8] | -", shape = [8], to = "- | [0:8]"} as "sent"
  %b = sigmoid(%x) : f32[8]
  %sum = exchange(%b) {device = 0, dtype = "f32", from = "sum [0:8] | [0:8]", shape = [8], to = "[0:8] | [0:8]"} : f32[8]
  %got = exchange() {device = 0, dtype = "f32", from = "- | [0:8]", shape = [8], to = "[0:8] | -"} : f32[8]
  %unread = exchange() {device = 0, dtype = "f32", from = "- | [0:8]", shape = [8], to = "[0:8] | -"} : f32[8]
  %again = exchange() {device = 0, dtype = "f32", from = "- | [0:8]", shape = [8], to = "[0:8] | -"} : f32[8]
  %y = add(%sum, %got, %again) : f32[8]
  %w.new = exchange(%y, %w) {device = 0, dtype = "f32", from = "sum [0:8] | [0:8]", shape = [8], to = "[0:4] | [4:8]"} : f32[4]
  output y = %y of [16] at [8]
  store %w = %w.new
}
)";

std::vector<std::string> exchanges_of(const Graph& graph) {
  std::vector<std::string> names;
  for (const auto& node : graph.nodes)
    if (node->op == &ops::exchange)
      names.push_back(node->name);
  return names;
}

TEST(ExchangePasses, KeepAllExchangesInOrder) {
  Graph graph = parse_graph(text);
  ASSERT_NO_THROW(verify(graph));
  EXPECT_EQ(print(graph), text);
  const std::vector<std::string> before = exchanges_of(graph);
  ASSERT_EQ(before.size(), 6u);
  PassContext context = context_of(Mode::train);
  for (const char* name :
       {"canonicalize", "fold-constants", "cse", "dce", "assign-precision", "assign-layouts",
        "fuse-windows", "fuse-epilogue", "fuse-updates", "order", "plan-memory"})
    for (const Pass& pass : pipeline())
      if (pass.name == name) {
        pass.run(graph, context);
        ASSERT_NO_THROW(verify(graph)) << name;
        EXPECT_EQ(exchanges_of(graph), before) << name;
      }
}

TEST(ExchangePasses, ResultsTakeOverMemoryWhereTheBoxStays) {
  Graph graph = parse_graph(text);
  EXPECT_EQ(in_place_operand(*graph.find("sum")->node, 0), 0);
  EXPECT_EQ(in_place_operand(*graph.find("got")->node, 0), -1) << "nothing is sent";
  PassContext context = context_of(Mode::train);
  plan_memory(graph, context);
  const auto& places = context.memory.values;
  EXPECT_EQ(places.at(graph.find("sum")).offset, places.at(graph.find("b")).offset);
  Node& sum = *graph.find("sum")->node;
  sum.attrs.set("from", std::string("sum [0:8] | [4:12]"));
  sum.attrs.set("to", std::string("[0:8] | [4:12]"));
  sum.attrs.set("shape", std::vector<int64_t>{12});
  EXPECT_EQ(in_place_operand(sum, 0), -1) << "each combines a box of its own";
  sum.attrs.set("from", std::string("[0:8] | [4:12]"));
  EXPECT_EQ(in_place_operand(sum, 0), 0);
  sum.attrs.set("from", std::string("[4:12] | [0:8]"));
  EXPECT_EQ(in_place_operand(sum, 0), -1) << "other elements of the same count";
}

TEST(ExchangePasses, PartsLieWithinTheirTensor) {
  Graph graph = parse_graph(text);
  graph.find("w")->node->attrs.set("at", std::vector<int64_t>{5});
  EXPECT_THROW(verify(graph), InternalError);
  graph.find("w")->node->attrs.set("at", std::vector<int64_t>{4});
  EXPECT_NO_THROW(verify(graph));
  graph.outputs[0].at = {9};
  EXPECT_THROW(verify(graph), InternalError);
}

// An update whose result travels on must not wait for updates that come after the exchange.
TEST(ExchangePasses, UpdatesThatAreExchangedStayAlone) {
  Graph graph = parse_graph(text);
  GraphBuilder builder(graph);
  Value* g = graph.find("y");
  Value* rate = builder.value(ops::feed, "rate", {}, {{"shape", std::vector<int64_t>{1}}});
  std::vector<Node*> updates;
  for (int i = 0; i < 3; ++i) {
    Attributes shape = {{"shape", std::vector<int64_t>{8}}};
    Value* w = builder.value(ops::parameter, fmt::format("w{}", i), {}, shape);
    Value* v = builder.value(ops::parameter, fmt::format("v{}", i), {}, shape);
    updates.push_back(builder.apply(ops::sgd_update, fmt::format("update{}", i), {w, g, v, rate},
                                    {{"momentum", 0.9}, {"decay", 0.0}, {"rate", 1.0}}));
  }
  builder.apply(ops::exchange, "sent on", {updates[0]->result()},
                {{"shape", std::vector<int64_t>{8}},
                 {"from", std::string("[0:8] | -")},
                 {"to", std::string("- | [0:8]")},
                 {"device", int64_t{0}}});
  PassContext context = context_of(Mode::train);
  fuse_updates(graph, context);
  EXPECT_EQ(fused_groups(graph, "update"), std::vector<std::string>{"sgd_update sgd_update"});
}

} // namespace
} // namespace netc::test
