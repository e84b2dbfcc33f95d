// The loss, its gradient and the accuracies as parts: the same values as whole, in exact mode the
// same bits.

#include "ir/ops.h"
#include "passes/passes.h"
#include "tests/support/draw.h"
#include "tests/support/run_graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace netc::test {
namespace {

struct Head {
  Graph graph{"head"};
  Tensors inputs;

  Value* feed(const std::string& name, DType dtype, Shape shape, const Draw& how, Random& random) {
    inputs[name] = draw({dtype, shape}, how, random);
    return GraphBuilder(graph).value(ops::feed, name, {},
                                     {{"shape", shape}, {"dtype", std::string(to_string(dtype))}});
  }
};

/// All that a training step has behind its logits.
Head head_of(int64_t samples, int64_t classes, const Draw& logits, Random& random) {
  Head head;
  Value* x = head.feed("x", DType::f32, {samples, classes}, logits, random);
  Value* labels = head.feed("labels", DType::i32, {samples}, integers(-1, classes - 1), random);
  Value* dloss = head.feed("dloss", DType::f32, {1}, uniform(0.5, 2), random);
  GraphBuilder builder(head.graph, Loc{nullptr, 7, 3});
  Node* loss = builder.apply(ops::softmax_cross_entropy, "loss", {x, labels});
  head.graph.outputs = {{"loss", loss->result()}, {"probabilities", loss->result(1)}};
  for (int64_t k : {1, 5})
    if (k <= classes) {
      const std::string name = fmt::format("top{}", k);
      head.graph.outputs.push_back(
          {name, builder.value(ops::topk_accuracy, name, {x, labels}, {{"k", k}})});
    }
  head.graph.outputs.push_back(
      {"gradient", builder.value(ops::softmax_cross_entropy_grad, "loss.grad",
                                 {loss->result(1), labels, dloss})});
  return head;
}

/// Sizes odd and even; logits of all kinds: all different, with ties, far apart, with NaN.
std::vector<Head> heads() {
  const double nan = std::nan("");
  const Draw with_nan = [=](size_t count, Random& random) {
    std::vector<double> logits = uniform(-3, 3)(count, random);
    for (size_t i = 0; i < count; i += 17)
      logits[i] = nan;
    return logits;
  };
  Random random(5);
  std::vector<Head> list;
  for (auto [samples, classes] :
       {std::pair<int64_t, int64_t>{1, 1}, {1, 10}, {7, 13}, {16, 1000}, {33, 8}, {128, 6}})
    for (const Draw& logits : {uniform(-3, 3), integers(-1, 1), uniform(-60, 60), with_nan})
      list.push_back(head_of(samples, classes, logits, random));
  // No sample counts.
  list.push_back(head_of(4, 6, uniform(-3, 3), random));
  list.back().inputs.at("labels").data = {-1, -1, -1, -1};
  return list;
}

Graph split(const Graph& whole) {
  Graph parts = whole.clone();
  EXPECT_EQ(split_head(parts), static_cast<int>(whole.outputs.size()) - 1);
  verify(parts);
  for (size_t i = 0; i < whole.outputs.size(); ++i) {
    EXPECT_EQ(parts.outputs[i].name, whole.outputs[i].name);
    EXPECT_EQ(parts.outputs[i].value->name, whole.outputs[i].value->name);
  }
  return parts;
}

/// A NaN is like any other.
bool same(double a, double b) {
  return a == b ? std::signbit(a) == std::signbit(b) : std::isnan(a) && std::isnan(b);
}

TEST(SplitHead, GivesNodesThatCanBeReadAndCut) {
  Random random(1);
  const Graph parts = split(head_of(4, 6, uniform(-1, 1), random).graph);
  std::vector<std::string> nodes;
  for (const auto& node : parts.nodes)
    if (node->op != &ops::feed) {
      nodes.push_back(node->name + " " + node->op->name);
      EXPECT_EQ(node->loc.line, 7) << node->name;
    }
  EXPECT_EQ(nodes, (std::vector<std::string>{
                       "loss.max class_max", "loss.sum class_exp_sum", "loss.own label_logit",
                       "loss.total label_loss", "loss.count label_count", "loss mean_loss",
                       "loss.probabilities softmax_of", "top1.rank label_rank", "top1 rank_below",
                       "top5 rank_below", "loss.grad class_gradient"}));
}

TEST(SplitHead, MakesOnlyWhatIsRead) {
  Random random(1);
  Graph graph = head_of(4, 6, uniform(-1, 1), random).graph;
  std::erase_if(graph.outputs, [](const Graph::Output& o) { return o.name != "probabilities"; });
  graph.remove_if([](const Node& node) {
    return node.op == &ops::topk_accuracy || node.op == &ops::softmax_cross_entropy_grad;
  });
  EXPECT_EQ(split_head(graph), 1);
  verify(graph);
  EXPECT_EQ(graph.find("loss"), nullptr);
  EXPECT_NE(graph.find("loss.probabilities"), nullptr);
  EXPECT_EQ(split_head(graph), 0);
}

TEST(SplitHead, ComputesTheSame) {
  for (const Head& head : heads()) {
    const Tensors want = interpret_outputs(head.graph, head.inputs);
    const Tensors got = interpret_outputs(split(head.graph), head.inputs);
    ASSERT_EQ(got.size(), want.size());
    for (const auto& [name, tensor] : want)
      for (size_t i = 0; i < tensor.data.size(); ++i) {
        const double a = got.at(name).data[i], b = tensor.data[i];
        EXPECT_TRUE(same(a, b) || std::abs(a - b) <= 1e-13 * std::max(1.0, std::abs(b)))
            << name << "[" << i << "] of " << head.inputs.at("x").type.str() << ": " << a << ", "
            << b;
      }
  }
}

void expect_same_bits(const Head& head, const std::string& target) {
  const RunOptions options{.target = parse_target(target), .exact = true};
  auto run = [&](const Graph& graph) {
    return compile(prepare_graph(graph, options), options).run(head.inputs);
  };
  const Tensors want = run(head.graph), got = run(split(head.graph));
  ASSERT_EQ(got.size(), want.size());
  for (const auto& [name, tensor] : want)
    EXPECT_TRUE(std::equal(tensor.data.begin(), tensor.data.end(), got.at(name).data.begin(),
                           got.at(name).data.end(), same))
        << name << " of " << head.inputs.at("x").type.str() << " on " << target;
}

TEST(SplitHead, GivesTheSameBitsInExactMode) {
  for (const char* target : {"cpu", "emu"})
    for (const Head& head : heads())
      expect_same_bits(head, target);
}

} // namespace
} // namespace netc::test
