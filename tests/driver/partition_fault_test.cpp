// Mistakes in the order of sums, which only the bits of exact plans show: each is seen.

#include "tests/driver/session_support.h"
#include "tests/support/cut_steps.h"
#include "tests/support/device_graphs.h"
#include "tests/support/faults.h"
#include "tools/driver/backend.h"
#include "tools/driver/strategy.h"

#include <cstdio>

namespace netc::test {
namespace {

/// Every sum is over four numbers a block or more: of two, halves come to the same.
constexpr const char* network_text = R"(name: sums
input: {channels: 3, height: 6, width: 6, scale: 0.01}
layers:
  - {name: conv1, type: conv2d, filters: 16, kernel: 3, pad: 1}
  - {name: relu1, type: relu}
  - {name: conv2, type: conv2d, filters: 16, kernel: 2, stride: 2}
  - {name: fc3, type: linear, features: 32}
  - {name: loss, type: softmax_cross_entropy}
train: {batch: 32, optimizer: {rate: 0.01, momentum: 0.9, decay: 5e-4}}
)";

/// Counts and maxima are the same in any order.
bool has_no_order(const Node& node) {
  return node.op == &ops::label_count || node.op == &ops::rank_below ||
         node.op == &ops::label_rank || node.op == &ops::class_max;
}

class ExactSums {
public:
  ExactSums() : source_(source_of(network_text)) {
    std::vector<Graph> whole;
    whole.push_back(whole_step(source_.network));
    want_ = bits_of(std::move(whole));
  }

  /// Compiled exactly: losses and state after some steps: of one loss the rounding may be the same
  /// by chance.
  std::string bits_of(std::vector<Graph> graphs) const {
    TemporaryFolder folder;
    Plan plan;
    plan.recipe = source_.network.recipe;
    plan.batch = plan.recipe.train.batch;
    plan.exact = true;
    plan.target = "cpu";
    LoweringOptions lowering{
        .target = parse_target("cpu"), .exact = true, .threads = 1, .choose = nullptr};
    KernelSet kernels(lowering.target, true);
    add_programs(plan, graphs, "train", false, kernels, lowering);
    Backend backend = make_backend(lowering.target, kernel_cache());
    plan.machine = backend.machine;
    plan.kernels = compile_kernels(kernels, backend, 2, folder.path());
    // Graphs list it as they come to it.
    std::sort(plan.state.begin(), plan.state.end(),
              [](const StateInit& a, const StateInit& b) { return a.name < b.name; });
    std::vector<DeviceSpec> devices;
    for (int i = 0; i < plan.devices; ++i)
      devices.push_back({.name = fmt::format("cpu:{}", i)});
    Session session(plan, folder.path(), devices);
    session.initialize(1);
    const std::vector<float> losses = train_steps(session, 12);
    return std::string(reinterpret_cast<const char*>(losses.data()),
                       losses.size() * sizeof(float)) +
           state_bytes(session);
  }

  std::vector<Graph> cut(const std::string& strategy, int devices) const {
    return cut_step(source_.network, resolve_strategy(strategy, source_.network, devices));
  }

  /// Sums of devices in another number of blocks than those that they hold, node by node.
  void check_blocks(const std::string& strategy) {
    const std::vector<Graph> graphs = cut(strategy, 2);
    EXPECT_TRUE(bits_of(clones(graphs)) == want_) << strategy;
    for (const auto& node : graphs[0].nodes)
      if (node->attrs.has("blocks") && node->attrs.integer("blocks") == 4 && !has_no_order(*node))
        for (int64_t blocks : {2, 8}) {
          std::vector<Graph> broken = clones(graphs);
          for (Graph& graph : broken)
            for (const auto& each : graph.nodes)
              if (each->name == node->name)
                each->attrs.set("blocks", blocks);
          expect_seen(std::move(broken),
                      fmt::format("{}: {} blocks in `{}`", strategy, blocks, node->name));
        }
  }

  void expect_seen(std::vector<Graph> broken, const std::string& mistake) {
    ++planted_;
    const bool seen = bits_of(std::move(broken)) != want_;
    EXPECT_TRUE(seen) << mistake;
    seen_ += seen;
  }

  const std::string& want() const { return want_; }
  int planted() const { return planted_; }
  int seen() const { return seen_; }

private:
  NetworkSource source_;
  std::string want_; ///< Of one device.
  int planted_ = 0, seen_ = 0;
};

TEST(ExactPartitionFaults, TheBitsShowEachOrderOfSums) {
  ExactSums sums;
  sums.check_blocks("data");
  sums.check_blocks("channel");
  EXPECT_GT(sums.planted(), 12);
  // Devices 1 and 2 of 4 do each other's work: (0 + 2) + (1 + 3).
  std::vector<Graph> graphs = sums.cut("data", 4);
  EXPECT_TRUE(sums.bits_of(clones(graphs)) == sums.want());
  std::swap(graphs[1], graphs[2]);
  for (size_t d : {1, 2})
    for (const auto& node : graphs[d].nodes)
      if (node->op == &ops::exchange)
        node->attrs.set("device", static_cast<int64_t>(d));
  sums.expect_seen(std::move(graphs), "another tree of devices");
  std::printf("%d of %d mistakes in the order of sums seen\n", sums.seen(), sums.planted());
}

} // namespace
} // namespace netc::test
