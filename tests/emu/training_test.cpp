// Whole trainings on the emulator, every access of every kernel checked, beside the CPU's.

#include "runtime/devices.h"
#include "runtime/train/trainer.h"
#include "tests/driver/driver_support.h"
#include "tests/support/draw.h"

#include <algorithm>
#include <cmath>

namespace netc::test {
namespace {

constexpr int64_t steps = 20, batch = 4;

/// Images of noise: no two windows are alike, so that rounding chooses no maximum. (LeNet pools
/// without a ReLU in between; on flat images even the CPU's two modes part after a few steps.)
class Noise : public Dataset {
public:
  Noise(const StoredFormat& format, int classes) : Dataset(format) {
    for (int i = 0; i < classes; ++i)
      class_names_.push_back(std::to_string(i));
  }
  int64_t size(Split split) const override { return split == Split::train ? steps * batch : 0; }
  int32_t label(Split, int64_t index) const override {
    return static_cast<int32_t>(index % classes());
  }
  std::string name(Split, int64_t index) const override { return std::to_string(index); }
  bool load(Split, int64_t index, uint8_t* out, std::string*) const override {
    Random random(static_cast<uint64_t>(index));
    std::generate_n(out, format_.bytes(), [&] { return static_cast<uint8_t>(random() >> 32); });
    return true;
  }
};

/// AlexNet's kinds of layers in its order, 0.7 million multiply-adds an image.
const std::string alexnet_in_small = R"(name: alexnet-tiny
input: {channels: 3, height: 47, width: 47, stored: 52, mean: channel, crop: random, flip: true, scale: 0.015625}
layers:
  - {name: conv1, type: conv2d, filters: 16, kernel: 7, stride: 3, init: {msra: true}}
  - {name: relu1, type: relu}
  - {name: norm1, type: lrn, n: 5, k: 2, alpha: 1e-4, beta: 0.75, alpha_over_n: false, groups: 2}
  - {name: pool1, type: max_pool2d, kernel: 3, stride: 2, rounding: floor}
  - {name: conv2, type: conv2d, filters: 24, kernel: 5, pad: 2, groups: 2, init: {msra: true}}
  - {name: relu2, type: relu}
  - {name: norm2, type: lrn, n: 5, k: 2, alpha: 1e-4, beta: 0.75, alpha_over_n: false, groups: 2}
  - {name: pool2, type: max_pool2d, kernel: 3, stride: 2, rounding: floor}
  - {name: conv3, type: conv2d, filters: 32, kernel: 3, pad: 1, init: {msra: true}}
  - {name: relu3, type: relu}
  - {name: conv4, type: conv2d, filters: 32, kernel: 3, pad: 1, groups: 2, init: {msra: true}}
  - {name: relu4, type: relu}
  - {name: fc6, type: linear, features: 48, init: {msra: true}}
  - {name: relu6, type: relu}
  - {name: drop6, type: dropout, rate: 0.5}
  - {name: fc7, type: linear, features: 10, init: {xavier: true}}
  - {name: loss, type: softmax_cross_entropy}
train:
  batch: 4
  epochs: 1
  optimizer: {rate: 0.001, momentum: 0.9, decay: 5e-4}
  parameters: [{match: "*.bias", rate: 2, decay: 0}]
  schedule: {type: constant}
)";

/// The loss of each step.
std::vector<double> losses(const NetworkSource& network, const std::string& target,
                           Precision precision) {
  TemporaryFolder folder;
  CompileOptions options = test_options();
  options.target = parse_target(target);
  options.precision = precision;
  options.batch = batch;
  const Compiled compiled = compile_into(network, options, folder / "plan");
  Session session(compiled.plan, compiled.folder, DeviceSpec{.name = device_for(options.target)});
  const Noise noise(stored_format(compiled.plan.recipe.input), compiled.plan.recipe.classes);
  RunDirectory run = RunDirectory::create_at(folder / "run");
  train(session, noise, run, {.steps = steps, .log_every = 1, .quiet = true});
  std::vector<double> list;
  for (const MetricsRow& row : read_metrics(folder / "run/metrics.csv"))
    list.push_back(row.train_loss.value());
  return list;
}

/// What the losses may be off by: rounding grows from step to step.
double tolerance(Precision precision) {
  switch (precision) {
  case Precision::fp32:
  case Precision::x3tf32:
    return 1e-5;
  case Precision::tf32:
    return 3e-3;
  case Precision::bf16:
    break;
  }
  return 2e-2;
}

/// In which precisions kernels for a GPU train.
struct Emulated {
  const char* target;
  std::vector<Precision> precisions;
};

void expect_the_cpus_losses(const NetworkSource& network, const std::vector<Emulated>& all) {
  const std::vector<double> want = losses(network, "cpu", Precision::fp32);
  ASSERT_EQ(want.size(), size_t(steps));
  for (const auto& [target, precisions] : all)
    for (Precision precision : precisions) {
      const std::vector<double> got = losses(network, target, precision);
      ASSERT_EQ(got.size(), want.size());
      double worst = 0;
      for (size_t i = 0; i < want.size(); ++i)
        worst = std::max(worst, std::abs(got[i] / want[i] - 1));
      EXPECT_LT(worst, tolerance(precision)) << target << ", " << to_string(precision);
      fmt::print("{} on {}, {}: losses {:.4f} to {:.4f}, off by at most {:.2g} relative\n",
                 network.network.recipe.name, target, to_string(precision), got.front(), got.back(),
                 worst);
    }
}

TEST(EmulatedTraining, LeNetFollowsTheCpu) {
  NetworkSource lenet = bundled("lenet");
  lenet.network.recipe.train.optimizer.rate = 0.001; // Noise and batches of 4 bear no more.
  expect_the_cpus_losses(lenet, {{"emu", {Precision::fp32, Precision::tf32}}});
}

NetworkSource small_alexnet() {
  return source_of(alexnet_in_small, "alexnet-tiny.yaml");
}

TEST(EmulatedTraining, AlexNetInSmallFollowsTheCpu) {
  const NetworkSource source = small_alexnet();
  int64_t macs = 0;
  for (const LayerRow& layer : layer_table(source.network, batch))
    macs += layer.macs_per_image;
  EXPECT_LE(macs, 1'000'000);
  EXPECT_GE(macs, 500'000);
  expect_the_cpus_losses(
      source, {{"emu", {Precision::fp32, Precision::x3tf32, Precision::tf32, Precision::bf16}}});
}

TEST(EmulatedTraining, AlexNetInSmallFollowsTheCpuWithoutWarpgroups) {
  expect_the_cpus_losses(small_alexnet(),
                         {{"emu:sm_75", {Precision::fp32}},
                          {"emu:sm_80", {Precision::x3tf32, Precision::tf32, Precision::bf16}}});
}

} // namespace
} // namespace netc::test
