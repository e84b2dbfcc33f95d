// Steps cut over devices, compiled and run, against one device: in exact plans with the same bits
// where shards keep the blocks of sums whole, else as close as rounding lets them be.

#include "passes/partition/strategies.h"
#include "tests/driver/session_support.h"
#include "tests/support/cut_steps.h"
#include "tools/driver/strategy.h"

#include <cstdio>

namespace netc::test {
namespace {

constexpr int steps = 3;

/// What some steps of training come to.
struct Trained {
  std::vector<float> losses;
  std::map<std::string, std::vector<float>> state; ///< By name: weights, momenta.
  std::vector<float> probabilities;                ///< Of an evaluation behind them.
};

/// A batch in which not every label counts.
Batch batch_of(const Plan& plan, unsigned step) {
  Batch batch = random_batch(plan, step);
  batch.labels[step % batch.labels.size()] = -1;
  return batch;
}

Trained train(const Plan& plan, const fs::path& folder, const std::string& kind = "cpu") {
  std::vector<DeviceSpec> devices;
  for (int i = 0; i < plan.devices; ++i)
    devices.push_back({.name = fmt::format("{}:{}", kind, i)});
  Session session(plan, folder, devices);
  session.initialize(3);
  Trained trained;
  for (unsigned step = 0; step < steps; ++step) {
    fill_feeds(session, "train", batch_of(plan, step),
               {.seed = 1, .step = static_cast<int64_t>(step), .rate = 0.005});
    session.run("train");
    trained.losses.push_back(loss_of(session));
  }
  fill_feeds(session, "eval", batch_of(plan, steps), {.seed = 1});
  session.run("eval");
  std::span<const float> probabilities = session.output_of<float>("eval", "probabilities");
  trained.probabilities.assign(probabilities.begin(), probabilities.end());
  for (const StateInit& state : plan.state) {
    StateValues values = session.state(state.name);
    trained.state[state.name].assign(values.values.begin(), values.values.end());
  }
  return trained;
}

/// `||got - want|| / ||want||`; 0 only where every bit is the same.
double distance(const std::vector<float>& got, const std::vector<float>& want) {
  if (got.size() != want.size())
    return INFINITY;
  if (std::memcmp(got.data(), want.data(), want.size() * sizeof(float)) == 0)
    return 0;
  double square = 0, norm = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    square += std::pow(static_cast<double>(got[i]) - static_cast<double>(want[i]), 2);
    norm += std::pow(static_cast<double>(want[i]), 2);
  }
  const double error = std::sqrt(square / std::max(norm, 1e-30));
  return std::isfinite(error) ? std::max(error, 1e-30) : INFINITY;
}

/// A network compiled exactly, and what it comes to on one device.
class BitsOf {
public:
  explicit BitsOf(const NetworkSource& source, int64_t batch = 0) : source_(source) {
    options_ = test_options(true, 1);
    options_.batch = batch;
    options_.target = parse_target("cpu");
    want_ = run({}, "one");
    for (float loss : want_.losses)
      EXPECT_TRUE(std::isfinite(loss) && loss > 0) << loss;
  }

  /// Runs under a strategy; the largest distance must be at most `most`.
  void check(const Strategy& strategy, double most, const std::string& kind = "cpu") {
    SCOPED_TRACE(source_.file.text + print(strategy) + strategy.name);
    ++pairs_;
    const Trained got = run(strategy, "several", kind);
    double worst = std::max(distance(got.losses, want_.losses),
                            distance(got.probabilities, want_.probabilities));
    for (const auto& [name, values] : want_.state) {
      const double error = distance(got.state.at(name), values);
      EXPECT_LE(error, most) << name;
      worst = std::max(worst, error);
    }
    EXPECT_LE(worst, most) << "loss or probabilities";
    same_ += worst == 0;
  }

  int pairs() const { return pairs_; }
  int same() const { return same_; } ///< Pairs without another bit.

private:
  Trained run(const std::optional<Strategy>& strategy, const std::string& name,
              const std::string& kind = "cpu") {
    CompileOptions options = options_;
    options.strategy = strategy;
    options.target = parse_target(kind);
    // As many threads for each device as one alone has: kernels are the same then.
    options.threads = strategy ? strategy->devices : 1;
    Compiled compiled = compile_into(source_, options, folder_ / name);
    return train(compiled.plan, compiled.folder, kind);
  }

  TemporaryFolder folder_;
  const NetworkSource source_;
  CompileOptions options_;
  Trained want_;
  int pairs_ = 0, same_ = 0;
};

constexpr double same_bits = 0, rounding = 1e-4;

bool is_spatial(const Strategy& strategy) {
  return std::any_of(strategy.layers.begin(), strategy.layers.end(), [](const auto& layer) {
    return layer.second.cut == Cut::spatial || layer.second.then == Cut::spatial;
  });
}

/// What may differ: shards on the borders of blocks give the same bits.
double most_of(const Strategy& strategy) {
  return strategy.devices == 3 || is_spatial(strategy) ? rounding : same_bits;
}

void print_counts(const BitsOf& bits) {
  std::printf("%d strategies, %d of them with the bits of one device\n", bits.pairs(), bits.same());
}

/// A random network whose layers come in multiples of 8, under every strategy that has a name and
/// under some random ones.
void check_network(uint64_t seed, const std::vector<int>& devices, int random_strategies) {
  Random random(seed);
  const NetworkSource source = source_of(random_network_text(random, true));
  BitsOf bits(source);
  for (int count : devices) {
    const bool blocks = count != 3;
    std::vector<Strategy> strategies = named_strategies_of(source.network, count);
    for (int i = 0; i < random_strategies; ++i)
      strategies.push_back(random_legal_strategy(source.network, count,
                                                 {.uneven = !blocks, .spatial = !blocks}, random));
    for (const Strategy& strategy : strategies)
      bits.check(strategy, most_of(strategy));
  }
  print_counts(bits);
}

/// Few kernels, but all kinds of exchanges.
std::string towers_network() {
  return R"(name: towers
input: {channels: 3, height: 8, width: 8, scale: 0.01}
layers:
  - {name: conv1, type: conv2d, filters: 8, kernel: 3, pad: 1}
  - {name: relu1, type: relu}
  - {name: norm1, type: lrn, n: 3, k: 2, alpha: 0.1, beta: 0.75, alpha_over_n: false}
  - {name: conv2, type: conv2d, filters: 16, kernel: 3, pad: 1, groups: 2}
  - {name: pool2, type: max_pool2d, kernel: 3, stride: 2, rounding: ceil}
  - {name: fc3, type: linear, features: 16}
  - {name: drop3, type: dropout, rate: 0.25, mode: inverted}
  - {name: fc4, type: linear, features: 16}
  - {name: loss, type: softmax_cross_entropy}
train: {batch: 8, optimizer: {rate: 0.01, momentum: 0.9, decay: 5e-4}}
)";
}

TEST(PartitionBits, EveryStrategyOfTwoDevices) {
  const NetworkSource source = source_of(towers_network());
  BitsOf bits(source);
  std::vector<Strategy> strategies = named_strategies_of(source.network, 2);
  EXPECT_EQ(strategies.size(), named_strategies().size()); // all suit this network
  Random random(2);
  strategies.push_back(random_legal_strategy(source.network, 2, {false, false}, random));
  strategies.push_back(random_legal_strategy(source.network, 2, {true, true}, random));
  for (size_t i = 0; i < strategies.size(); ++i)
    bits.check(strategies[i], i + 1 < strategies.size() ? most_of(strategies[i]) : rounding);
  print_counts(bits);
}

TEST(PartitionBits, MoreDevices) {
  const NetworkSource source = source_of(towers_network());
  BitsOf bits(source);
  for (auto [name, devices] : {std::pair{"data", 3}, {"data", 4}, {"zero", 8}, {"channel", 4}})
    bits.check(resolve_strategy(name, source.network, devices),
               devices == 3 ? rounding : same_bits);
  print_counts(bits);
}

/// The same programs on the emulator, whose kernels are those of GPUs.
TEST(PartitionBits, OnEmulatedDevices) {
  const NetworkSource source = source_of(towers_network());
  BitsOf bits(source);
  for (const char* name : {"data", "towers"})
    bits.check(resolve_strategy(name, source.network, 2), rounding, "emu");
}

TEST(PartitionBits, SmallAlexNet) {
  const NetworkSource source = bundled("alexnet-small");
  BitsOf bits(source, 8);
  for (const char* name : {"data", "towers"})
    bits.check(resolve_strategy(name, source.network, 2), same_bits);
  print_counts(bits);
}

TEST(PartitionBitsSlow, AlexNet) {
  const NetworkSource source = bundled("alexnet");
  BitsOf bits(source, 8);
  for (const char* name : {"data", "towers"})
    bits.check(resolve_strategy(name, source.network, 2), same_bits);
  print_counts(bits);
}

TEST(PartitionBitsSlow, RandomNetworksUnderEveryStrategy) {
  for (uint64_t seed = 1; seed <= 4 && !HasFailure(); ++seed)
    check_network(seed, {2, 3, 4, 8}, 3);
}

} // namespace
} // namespace netc::test
