// Steps in micro-batches, compiled exactly and run: the bits of one device that takes the batch
// whole.

#include "tests/driver/session_support.h"
#include "tools/driver/strategy.h"

namespace netc::test {
namespace {

constexpr const char* network_text = R"(name: micro
input: {channels: 3, height: 8, width: 8, scale: 0.01, stored: 10, crop: random, flip: true}
layers:
  - {name: conv1, type: conv2d, filters: 8, kernel: 3, pad: 1}
  - {name: relu1, type: relu}
  - {name: conv2, type: conv2d, filters: 16, kernel: 3, pad: 1, groups: 2}
  - {name: pool2, type: max_pool2d, kernel: 3, stride: 2, rounding: ceil}
  - {name: fc3, type: linear, features: 16}
  - {name: drop3, type: dropout, rate: 0.25, mode: inverted}
  - {name: fc4, type: linear, features: 8}
  - {name: loss, type: softmax_cross_entropy}
train: {batch: 16, optimizer: {rate: 0.01, momentum: 0.9, decay: 5e-4}}
)";

/// What three steps of training come to.
struct Trained {
  std::vector<float> losses;
  std::map<std::string, std::vector<float>> state; ///< By name.
  bool operator==(const Trained&) const = default;
};

Trained train(const NetworkSource& source, const std::optional<Strategy>& strategy,
              const fs::path& folder) {
  CompileOptions options = test_options(true, 1);
  options.target = parse_target("cpu");
  options.strategy = strategy;
  options.threads = strategy ? strategy->devices : 1;
  const Compiled compiled = compile_into(source, options, folder);
  std::vector<DeviceSpec> devices;
  for (int i = 0; i < compiled.plan.devices; ++i)
    devices.push_back({.name = fmt::format("cpu:{}", i)});
  Session session(compiled.plan, compiled.folder, devices);
  session.initialize(3);
  session.poison(std::byte{0xff});
  Trained trained{train_steps(session, 3), {}};
  for (float loss : trained.losses)
    EXPECT_TRUE(std::isfinite(loss) && loss > 0) << loss;
  for (const StateInit& state : compiled.plan.state) {
    const StateValues values = session.state(state.name);
    trained.state[state.name].assign(values.values.begin(), values.values.end());
  }
  return trained;
}

/// Numbers are compared, so that the sign of a 0 is all that may differ.
TEST(MicroBatches, HaveTheBitsOfTheBatch) {
  TemporaryFolder folder;
  const NetworkSource source = source_of(network_text);
  const Trained want = train(source, {}, folder / "one");
  auto check = [&](const std::string& name, int devices, int count) {
    Strategy strategy = resolve_strategy(name, source.network, devices);
    strategy.micro_batches.count = count;
    EXPECT_TRUE(train(source, strategy, folder / "several") == want) << print(strategy);
  };
  check("pipeline", 2, 1);
  check("pipeline", 2, 4);
  check("pipeline-1f1b", 2, 8);
  check("pipeline-1f1b", 4, 2);
  check("owt-b", 2, 2);
  check("owt-b", 4, 4);
  check("owt-c", 2, 2);
  check("owt-c", 4, 4);
}

} // namespace
} // namespace netc::test
