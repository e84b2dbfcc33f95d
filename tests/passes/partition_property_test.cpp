// Random small networks cut by random strategies compute what they compute on one device: in
// double, three steps of training and one of evaluation.

#include "tests/support/cut_steps.h"
#include "tests/support/partitioned.h"

#include "ir/ops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

namespace netc::test {
namespace {

/// Partial sums are added in another order, nothing else differs.
constexpr double tolerance = 1e-11;

/// What some steps of training give, each on feeds of its own and on what the step before stored.
std::vector<Tensors> train(std::vector<Tensors> steps,
                           const std::function<Tensors(const Tensors&)>& run) {
  std::vector<Tensors> results;
  for (Tensors& inputs : steps) {
    if (!results.empty())
      for (const auto& [name, value] : results.back())
        if (auto it = inputs.find(name); it != inputs.end())
          it->second = value;
    results.push_back(run(inputs));
  }
  return results;
}

/// Empty when all are the same but for rounding.
std::string difference(const std::vector<Tensors>& got, const std::vector<Tensors>& want) {
  for (size_t step = 0; step < want.size(); ++step) {
    if (got[step].size() != want[step].size())
      return fmt::format("{} tensors instead of {}", got[step].size(), want[step].size());
    for (const auto& [name, value] : want[step]) {
      auto it = got[step].find(name);
      const double error = it == got[step].end() ? INFINITY : relative_error(it->second, value);
      if (!(error <= tolerance))
        return fmt::format("`{}` of step {} is wrong by {}", name, step, error);
    }
  }
  return "";
}

/// Programs share state: each device has the same parts in evaluation as in training.
void expect_same_parameters(const std::vector<Graph>& training,
                            const std::vector<Graph>& evaluation) {
  for (size_t d = 0; d < evaluation.size(); ++d)
    for (const auto& node : evaluation[d].nodes)
      if (const Value* trained = training[d].find(node->name);
          node->op == &ops::parameter && trained) {
        EXPECT_EQ(node->result()->type, trained->type) << node->name << " on device " << d;
        EXPECT_EQ(node->attrs, trained->node->attrs) << node->name << " on device " << d;
      }
}

/// A network and what it computes on one device.
class Subject {
public:
  explicit Subject(uint64_t seed)
      : random_(seed), text_(random_network_text(random_, seed % 3 == 0)),
        network_(network_of(text_)) {
    const Graph whole = whole_step(network_), evaluation = whole_step(network_, Mode::infer);
    for (int i = 0; i < 3; ++i)
      steps_.push_back(step_inputs(whole, random_));
    trained_ = train(steps_, [&](const Tensors& in) { return interpret_outputs(whole, in); });
    evaluated_ = {interpret_outputs(evaluation, steps_[0])};
  }

  void check(const Strategy& strategy, const std::string& stop_after) const {
    SCOPED_TRACE(text_ + print(strategy));
    try {
      const std::vector<Graph> graphs = cut_step(network_, strategy, Mode::train, stop_after);
      EXPECT_EQ(
          difference(
              train(steps_, [&](const Tensors& in) { return interpret_partitioned(graphs, in); }),
              trained_),
          "");
      expect_same_parameters(graphs, cut_step(network_, strategy, Mode::infer, stop_after));
      EXPECT_EQ(difference({interpret_partitioned(
                               cut_step(network_, strategy, Mode::infer, stop_after), steps_[0])},
                           evaluated_),
                "")
          << "in evaluation";
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
  }

  std::vector<Strategy> strategies(int devices) {
    std::vector<Strategy> list = named_strategies_of(network_, devices);
    for (int i = 0; i < 3; ++i)
      list.push_back(random_legal_strategy(network_, devices, {}, random_));
    return list;
  }

private:
  Random random_;
  std::string text_;
  Network network_;
  std::vector<Tensors> steps_;
  std::vector<Tensors> trained_, evaluated_;
};

void check_networks(uint64_t first, uint64_t end) {
  std::map<std::string, int> counts;
  int all = 0;
  for (uint64_t seed = first; seed < end && !testing::Test::HasFailure(); ++seed) {
    Subject subject(seed);
    for (int devices : {1, 2, 3, 4, 8})
      for (const Strategy& strategy : subject.strategies(devices)) {
        // Half of them as the passes behind leave them: fused, and in another order.
        subject.check(strategy, ++all % 2 ? "partition" : "order");
        ++counts[strategy.name];
      }
  }
  std::printf("%d pairs of a network and a strategy:", all);
  for (const auto& [name, count] : counts)
    std::printf(" %s %d", name.c_str(), count);
  std::printf("\n");
}

TEST(PartitionProperty, RandomNetworksUnderRandomStrategiesAreTheSame) {
  check_networks(1, 13);
}

TEST(PartitionPropertySlow, ManyRandomNetworksUnderRandomStrategiesAreTheSame) {
  check_networks(100, 500);
}

} // namespace
} // namespace netc::test
