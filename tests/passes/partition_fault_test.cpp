// Mistakes planted in the graphs of devices: each is caught by a check, or by what it computes.

#include "tests/support/cut_steps.h"
#include "tests/support/device_graphs.h"
#include "tests/support/faults.h"
#include "tests/support/partitioned.h"
#include "tools/driver/strategy.h"

#include <gtest/gtest.h>

#include <cstdio>

namespace netc::test {
namespace {

/// Whatever is cut has something to tell parts apart by: images are cropped and flipped by sample.
constexpr const char* network_text = R"(name: faulty
input: {channels: 2, height: 7, width: 6, stored: 9, crop: random, flip: true, scale: 0.01}
layers:
  - {name: conv1, type: conv2d, filters: 4, kernel: 3, pad: 1}
  - {name: norm1, type: lrn, n: 3, k: 2, alpha: 0.1, beta: 0.75, alpha_over_n: false}
  - {name: conv2, type: conv2d, filters: 8, kernel: 3, pad: 1, groups: 2}
  - {name: tanh2, type: tanh}
  - {name: pool2, type: max_pool2d, kernel: 3, stride: 2, rounding: ceil}
  - {name: fc3, type: linear, features: 6}
  - {name: drop3, type: dropout, rate: 0.5, mode: inverted}
  - {name: fc4, type: linear, features: 8}
  - {name: loss, type: softmax_cross_entropy}
train: {batch: 4, optimizer: {rate: 0.01, momentum: 0.9, decay: 5e-4}}
)";

/// Whether programs can be made of the graphs, and fit together.
bool programs_fit(const std::vector<Graph>& graphs) {
  try {
    std::vector<Graph> copies = clones(graphs);
    Plan plan;
    KernelSet kernels;
    add_programs(plan, copies, "train", false, kernels);
    check_exchanges(plan.device_programs("train"));
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

class FaultyPartition {
public:
  FaultyPartition() : network_(network_of(network_text)) {
    Random random(7);
    const Graph whole = whole_step(network_);
    for (int i = 0; i < 20; ++i) {
      Tensors inputs = step_inputs(whole, random);
      if (i % 5 == 4)
        overflow(inputs);
      else if (i >= 4)
        tie(inputs, 1 + i % 7, i % 2);
      steps_.push_back(std::move(inputs));
    }
  }

  /// Plants all mistakes that the strategy has room for.
  void check(const std::string& name, int devices) {
    const std::vector<Graph> graphs = cut_step(network_, resolve_strategy(name, network_, devices));
    want_.clear();
    for (const Tensors& inputs : steps_)
      want_.push_back(interpret_partitioned(graphs, inputs));
    ASSERT_EQ(catcher_of(graphs), "") << name << " is wrong without a mistake";
    for (const Fault& fault : faults_of(graphs)) {
      std::vector<Graph> broken = clones(graphs);
      fault.plant(broken);
      const std::string catcher = catcher_of(broken);
      EXPECT_NE(catcher, "") << name << " over " << devices << " devices: " << fault.text;
      ++planted_[fault.kind];
      ++caught_[catcher];
    }
  }

  void print_counts() {
    int planted = 0;
    std::string kinds, catchers;
    for (const auto& [kind, count] : planted_) {
      planted += count;
      kinds += fmt::format(" {} {};", kind, count);
    }
    for (const auto& [catcher, count] : caught_)
      if (!catcher.empty())
        catchers += fmt::format(" {} {};", catcher, count);
    std::printf("%d of %d mistakes caught, by%s planted:%s\n", planted - caught_[""], planted,
                catchers.c_str(), kinds.c_str());
  }

private:
  /// A wrong maximum shows where exponentials overflow.
  static void overflow(Tensors& inputs) {
    for (double& weight : inputs.at("fc4.weight").data)
      weight *= 1e4;
  }

  /// A wrong class shows where the logit of the label is the largest with the one before it, and
  /// wrong sums of hits where it is the largest.
  static void tie(Tensors& inputs, int label, bool tied) {
    for (double& each : inputs.at("labels").data)
      each = label;
    for (double& weight : inputs.at("fc4.weight").data)
      weight = 0;
    for (int c = 0; c < 8; ++c)
      inputs.at("fc4.bias").data[static_cast<size_t>(c)] = c == label || (tied && c + 1 == label);
  }

  /// What notices that the graphs are wrong; nothing where they are right.
  std::string catcher_of(const std::vector<Graph>& graphs) const {
    try {
      for (const Graph& graph : graphs)
        verify(graph);
    } catch (const InternalError&) {
      return "the graph's check";
    }
    if (!programs_fit(graphs))
      return "the programs' checks";
    try {
      for (size_t step = 0; step < steps_.size(); ++step) {
        const Tensors got = interpret_partitioned(graphs, steps_[step]);
        for (const auto& [name, value] : want_[step])
          if (auto it = got.find(name);
              it == got.end() || !(relative_error(it->second, value) <= 1e-11))
            return "the comparison";
      }
    } catch (const InternalError&) {
      return "running it";
    }
    return "";
  }

  Network network_;
  std::vector<Tensors> steps_; ///< What each of some steps reads.
  std::vector<Tensors> want_;  ///< What the graphs give that are right.
  std::map<std::string, int> planted_, caught_;
};

TEST(PartitionFaults, AreAllCaught) {
  FaultyPartition partition;
  for (const char* name : {"data", "zero", "towers", "towers-rank0", "channel", "owt", "spatial"})
    partition.check(name, 2);
  partition.check("filter", 3);
  partition.print_counts();
}

} // namespace
} // namespace netc::test
