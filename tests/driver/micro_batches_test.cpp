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

/// What three steps of training come to: the bytes of losses and state.
std::string trained(const NetworkSource& source, const std::optional<Strategy>& strategy,
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
  std::string bytes;
  for (float loss : train_steps(session, 3)) {
    EXPECT_TRUE(std::isfinite(loss) && loss > 0) << loss;
    bytes.append(reinterpret_cast<const char*>(&loss), sizeof loss);
  }
  return bytes + state_bytes(session);
}

TEST(MicroBatches, HaveTheBitsOfTheBatch) {
  TemporaryFolder folder;
  const NetworkSource source = source_of(network_text);
  const std::string want = trained(source, {}, folder / "one");
  auto check = [&](Strategy strategy) {
    EXPECT_TRUE(trained(source, strategy, folder / "several") == want) << print(strategy);
  };
  for (int count : {1, 2, 4, 8})
    for (Schedule schedule : {Schedule::gpipe, Schedule::one_forward_one_backward}) {
      Strategy strategy = resolve_strategy("pipeline", source.network, 2);
      strategy.micro_batches = {count, schedule};
      check(strategy);
    }
  for (auto [name, devices] :
       {std::pair{"pipeline-1f1b", 4}, {"owt-b", 2}, {"owt-c", 2}, {"owt-b", 4}, {"owt-c", 4}})
    check(resolve_strategy(name, source.network, devices));
}

} // namespace
} // namespace netc::test
