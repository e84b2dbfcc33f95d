// What every pass must keep, on random graphs: the invariants of the IR, and the meaning.

#include "tests/passes/plan_checks.h"
#include "tests/passes/random_graph.h"
#include "tests/support/interpret.h"

#include <cmath>

namespace netc::test {
namespace {

constexpr unsigned graphs = 24;

Graph random_graph(unsigned seed) {
  return RandomGraph(seed).build(6 + static_cast<int>(seed) % 18);
}

/// A number for every element of every feed and parameter, by name and index.
Tensors inputs_of(const Graph& graph) {
  Tensors inputs;
  for (const auto& node : graph.nodes) {
    if (node->op != &ops::feed && node->op != &ops::parameter)
      continue;
    const Value& value = *node->result();
    std::seed_seq seed(value.name.begin(), value.name.end());
    std::mt19937 random(seed);
    RefTensor tensor{value.type, {}};
    for (int64_t i = 0; i < value.type.elements(); ++i)
      tensor.data.push_back(value.type.dtype == DType::i32 ? random() % 3
                                                           : random() / 2147483648.0 - 1.0);
    inputs[value.name] = std::move(tensor);
  }
  return inputs;
}

/// Compares what both know: a pass may add stores (autodiff) or drop outputs (canonicalize).
void expect_same_meaning(const Tensors& before, const Tensors& after, const std::string& where) {
  for (const auto& [name, tensor] : before)
    if (after.count(name)) {
      EXPECT_LT(relative_error(after.at(name), tensor), 1e-9) << where << ": " << name;
    }
  EXPECT_TRUE(after.count("loss")) << where;
}

/// Some contractions need scratch memory.
int64_t fake_workspace(const Node& node) {
  return node.op->is_contraction() ? 100 * static_cast<int64_t>(node.name.size()) : 0;
}

class Properties : public testing::TestWithParam<unsigned> {
protected:
  Graph graph() const { return random_graph(GetParam()); }
  PassContext context(Mode mode) const {
    PassContext c = context_of(mode);
    c.workspace_bytes = fake_workspace;
    return c;
  }
};

TEST_P(Properties, EachPassKeepsInvariantsAndMeaning) {
  for (Mode mode : {Mode::train, Mode::infer}) {
    Graph g = graph();
    PassContext c = context(mode);
    ASSERT_NO_THROW(verify(g));
    std::optional<Tensors> meaning;
    if (mode == Mode::train)
      meaning = interpret_outputs(g, inputs_of(g));
    for (const Pass& pass : pipeline()) {
      pass.run(g, c);
      ASSERT_NO_THROW(verify(g)) << pass.name;
      ASSERT_EQ(print(parse_graph(print(g))), print(g)) << pass.name;
      // At inference canonicalize replaces dropout: the meaning is what it leaves.
      Tensors now = interpret_outputs(g, inputs_of(g));
      if (meaning)
        expect_same_meaning(*meaning, now, pass.name);
      meaning = std::move(now);
    }
    EXPECT_EQ(meaning->count("probabilities"), mode == Mode::infer ? 1u : 0u);
  }
}

TEST_P(Properties, PlansAreSound) {
  for (Mode mode : {Mode::train, Mode::infer})
    for (bool fuse : {true, false}) {
      Graph g = graph();
      PassContext c = context(mode);
      std::set<std::string> skip;
      if (!fuse)
        skip = {"fuse-windows", "fuse-epilogue", "fuse-updates"};
      run_until(g, c, "", skip);
      expect_sound_plan(g, c.memory);
      EXPECT_GE(c.memory.arena_bytes, c.memory.lower_bound_bytes);
      EXPECT_EQ(c.memory.lower_bound_bytes, largest_live_set(g, c.memory));
    }
}

TEST_P(Properties, OrderNeverRaisesThePeak) {
  for (Mode mode : {Mode::train, Mode::infer}) {
    Graph g = graph();
    PassContext c = context(mode);
    run_until(g, c, "fuse-updates");
    int64_t before = peak_live_bytes(g, c);
    order_nodes(g, c);
    EXPECT_NO_THROW(verify(g));
    EXPECT_LE(peak_live_bytes(g, c), before);
  }
}

TEST_P(Properties, ReadersOfAParameterRunBeforeItsUpdate) {
  Graph g = graph();
  PassContext c = context(Mode::train);
  run_until(g, c, "order");
  std::map<const Node*, size_t> position;
  for (size_t i = 0; i < g.nodes.size(); ++i)
    position[g.nodes[i].get()] = i;
  auto users = g.users();
  EXPECT_FALSE(g.stores.empty());
  for (const Graph::Store& store : g.stores)
    for (const Node* reader : users[store.parameter])
      EXPECT_LE(position.at(reader), position.at(store.value->node)) << store.parameter->name;
}

TEST_P(Properties, PassesMayBeSkipped) {
  for (const Pass& pass : pipeline()) {
    if (pass.required)
      continue;
    Graph g = graph();
    PassContext c = context(Mode::train);
    ASSERT_NO_THROW(run_until(g, c, "", {pass.name})) << pass.name;
    expect_sound_plan(g, c.memory);
  }
}

/// The loss with all trainable parameters moved by h times a fixed direction.
double loss_at(const Graph& forward, Tensors inputs, double h) {
  for (const auto& node : forward.nodes)
    if (node->op == &ops::parameter) {
      std::vector<double>& data = inputs.at(node->result()->name).data;
      for (size_t i = 0; i < data.size(); ++i)
        data[i] += h * std::cos(static_cast<double>(3 * i + node->name.size()));
    }
  return interpret_outputs(forward, inputs).at("loss").data[0];
}

TEST_P(Properties, UpdatesFollowTheGradient) {
  Graph forward = graph(), step = graph();
  PassContext c = context(Mode::train);
  run_until(step, c, "");
  Tensors inputs = inputs_of(step), results = interpret_outputs(step, inputs);
  double rate = inputs.at("rate").data[0], slope = 0;
  for (const auto& node : forward.nodes) {
    const std::string& name = node->result()->name;
    if (node->op != &ops::parameter || !results.count(name))
      continue;
    // v' = momentum v - decay rate w - rate g, solved for g.
    double decay = c.optimizer.decay * node->attrs.real("decay");
    const auto &w = inputs.at(name).data, &v = inputs.at(name + ".momentum").data,
               &next = results.at(name + ".momentum").data;
    for (size_t i = 0; i < w.size(); ++i) {
      double g = (c.optimizer.momentum * v[i] - next[i]) / rate - decay * w[i];
      slope += g * std::cos(static_cast<double>(3 * i + node->name.size()));
      EXPECT_NEAR(results.at(name).data[i], w[i] + next[i], 1e-12);
    }
  }
  constexpr double h = 1e-6;
  Tensors at = inputs_of(forward);
  double measured = (loss_at(forward, at, h) - loss_at(forward, at, -h)) / (2 * h);
  EXPECT_NEAR(slope, measured, 1e-5 * (1 + std::abs(measured)));
}

TEST_P(Properties, AnyNumberOfRewritesLeavesAValidGraph) {
  Graph whole = graph();
  PassContext all = context(Mode::train);
  constexpr int64_t plenty = 1 << 20;
  all.rewrites_left = plenty;
  run_until(whole, all, "");
  const int64_t total = plenty - all.rewrites_left;
  EXPECT_GT(total, 5);
  Tensors meaning = interpret_outputs(whole, inputs_of(whole));
  for (int64_t n = 0; n <= total; ++n) {
    Graph g = graph();
    PassContext c = context(Mode::train);
    c.rewrites_left = n;
    ASSERT_NO_THROW(run_until(g, c, "")) << n;
    EXPECT_EQ(c.rewrites_left, 0) << n;
    expect_sound_plan(g, c.memory);
    if (n % 7 == 0)
      expect_same_meaning(meaning, interpret_outputs(g, inputs_of(g)), fmt::format("{}", n));
    EXPECT_EQ(n == total, print(g) == print(whole)) << n;
  }
}

TEST_P(Properties, TheSameGraphComesOutEachTime) {
  std::string first;
  for (int i = 0; i < 2; ++i) {
    Graph g = graph();
    PassContext c = context(Mode::train);
    run_until(g, c, "");
    std::string text = print(g) + fmt::format("{}", c.memory.arena_bytes);
    for (const auto& node : g.nodes)
      for (const auto& result : node->results)
        if (auto it = c.memory.values.find(result.get()); it != c.memory.values.end())
          text += fmt::format("\n{} {}", result->name, it->second.offset);
    EXPECT_TRUE(i == 0 || text == first);
    first = text;
  }
}

TEST(InPlace, OnlyWhereBothLieAlike) {
  Graph g = forward_of("name: n\ninput: {channels: 2, height: 3, width: 5}\nlayers:\n"
                       "  - {name: conv, type: conv2d, filters: 2, kernel: 3}\n"
                       "  - {name: relu, type: relu}\n",
                       2);
  const Node* relu = nullptr;
  for (const auto& node : g.nodes)
    if (node->name == "relu")
      relu = node.get();
  ASSERT_TRUE(relu);
  EXPECT_EQ(in_place_operand(*relu, 0), 0);
  relu->operands[0]->layout = Layout::nhwc;
  EXPECT_EQ(in_place_operand(*relu, 0), -1);
  relu->result()->layout = Layout::nhwc;
  EXPECT_EQ(in_place_operand(*relu, 0), 0);
}

TEST(PlanMemory, OfAStepThatComputesNothingIsEmpty) {
  Graph g = parse_graph("graph g {\n"
                        "  %x = feed() {dtype = \"f32\", shape = [2, 2]} : f32[2,2]\n"
                        "  output y = %x\n"
                        "}\n");
  PassContext c = context_of(Mode::infer);
  EXPECT_EQ(plan_memory(g, c), 0);
  EXPECT_TRUE(c.memory.values.empty());
  EXPECT_EQ(c.memory.arena_bytes, 0);
  EXPECT_EQ(c.memory.lower_bound_bytes, 0);
}

// The properties say little unless the graphs have something to fuse and to share.
TEST(RandomGraphs, AreWorthTesting) {
  size_t windows = 0, contractions = 0, shared = 0, spatial = 0;
  for (unsigned seed = 0; seed < graphs; ++seed) {
    Graph g = random_graph(seed);
    PassContext c = context_of(Mode::train);
    run_until(g, c, "");
    for (const std::string& members : fused_groups(g, "window")) {
      ++windows;
      spatial += members.find("pool2d") != std::string::npos;
    }
    contractions += fused_groups(g, "contraction").size();
    std::vector<Lifetime> values = lifetimes(g, c.memory);
    for (const Lifetime& a : values)
      for (const Lifetime& b : values)
        shared += a.value != b.value && in_place_is_legal(a, b) && bytes_meet(a.extent, b.extent);
  }
  fmt::print("{} window groups ({} with pools), {} contraction groups, {} results in place\n",
             windows, spatial, contractions, shared);
  EXPECT_GT(windows, graphs);
  EXPECT_GT(spatial, graphs / 4);
  EXPECT_GT(contractions, graphs);
  EXPECT_GT(shared, graphs / 4);
}

INSTANTIATE_TEST_SUITE_P(Random, Properties, testing::Range(0u, graphs));

} // namespace
} // namespace netc::test
