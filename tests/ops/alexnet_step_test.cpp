// One whole training step of models/alexnet.yaml at a small image size against plain loops in
// double precision: frontend, passes, fusions, code generation, runtime, update.

#include "ir/ops.h"
#include "runtime/initialize.h"
#include "tests/support/alexnet_reference.h"
#include "tests/support/draw.h"
#include "tests/support/run_graph.h"
#include "tools/driver/compile.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <sstream>

namespace netc::test {
namespace {

/// The smallest size at which the last pooling leaves more than one pixel: 23, 11, 5 and 2 pixels.
constexpr int64_t pixels = 99, stored = 104, samples = 4;
constexpr double rate = 0.01, momentum = 0.9, decay = 5e-4;
constexpr double least_margin = 1e-5;

Network small_alexnet() {
  std::ostringstream messages;
  Network network = load_network("alexnet.yaml", messages).network;
  InputSpec& input = network.recipe.input;
  input.height = input.width = pixels;
  input.stored_height = input.stored_width = stored;
  for (LayerDescription& layer : network.layers)
    if (layer.op == &ops::dropout)
      layer.keys.set("rate", 0.0);
  return network;
}

/// Initial values as a run starts with them; momenta 0.
Tensors initial_state(const Graph& graph) {
  Tensors state;
  for (const StateInit& init : state_of(graph)) {
    std::vector<float> values(static_cast<size_t>(init.type.elements()));
    initialize_state(init, 3, values);
    state[init.name] = {init.type, {values.begin(), values.end()}};
  }
  state.at("input.mean").data = {123, 116.5, 104};
  return state;
}

void draw_batch(Tensors& inputs, Random& random) {
  auto set = [&](const char* name, DType dtype, Shape shape, const Draw& how) {
    inputs[name] = draw({dtype, std::move(shape)}, how, random);
  };
  set("images", DType::u8, {samples, 3, stored, stored}, integers(0, 255));
  set("labels", DType::i32, {samples}, integers(0, 999));
  set("sample_ids", DType::i32, {samples}, integers(0, 1'281'166));
  set("epochs", DType::i32, {samples}, integers(0, 89));
  set("seed", DType::i32, {2}, integers(0, 1 << 30));
  set("step", DType::i32, {1}, integers(0, 1 << 20));
  set("rate", DType::f32, {1}, values({static_cast<double>(static_cast<float>(rate))}));
}

std::vector<int> as_integers(const RefTensor& tensor) {
  return {tensor.data.begin(), tensor.data.end()};
}

AlexNetStep reference_step(const Tensors& inputs, bool backward) {
  Images images(samples, 3, stored, stored);
  images.data = inputs.at("images").data;
  const std::vector<double>& words = inputs.at("seed").data;
  const uint32_t seed[2] = {static_cast<uint32_t>(words[0]), static_cast<uint32_t>(words[1])};
  Parameters parameters;
  for (const auto& [name, tensor] : inputs)
    parameters[name] = tensor.data;
  Images x = alexnet_input(images, pixels, inputs.at("input.mean").data, seed,
                           as_integers(inputs.at("sample_ids")), as_integers(inputs.at("epochs")));
  return alexnet_step(x, as_integers(inputs.at("labels")), parameters, backward);
}

struct Expected {
  Tensors inputs;
  AlexNetStep step;
};

/// A batch away from all kinks with its reference; the same for both modes.
const Expected& expected(const Graph& graph) {
  static const Expected made = [&] {
    Expected e{initial_state(graph), {}};
    Random random(2012);
    int redraws = 0;
    for (draw_batch(e.inputs, random); reference_step(e.inputs, false).margin < least_margin;
         draw_batch(e.inputs, random))
      ++redraws;
    e.step = reference_step(e.inputs, true);
    std::printf("alexnet: batch redrawn %d times, margin %.2g, loss %.7f\n", redraws, e.step.margin,
                e.step.loss);
    return e;
  }();
  return made;
}

/// v' = 0.9 v - decay e w - e g with the multipliers of the file: biases learn twice as fast and do
/// not decay. Momenta start at 0.
RefTensor expected_update(const Expected& e, const std::string& name) {
  bool bias = name.find(".bias") != std::string::npos;
  double step = static_cast<double>(static_cast<float>(rate)) * (bias ? 2 : 1);
  const RefTensor& w = e.inputs.at(name);
  RefTensor update = w;
  for (size_t i = 0; i < w.data.size(); ++i)
    update.data[i] = -(bias ? 0 : decay) * step * w.data[i] - step * e.step.gradients.at(name)[i];
  return update;
}

/// What the step added to a parameter must be the update up to the rounding of the parameter.
void expect_added(const RefTensor& before, const RefTensor& after, const RefTensor& update,
                  const std::string& name) {
  size_t wrong = 0;
  for (size_t i = 0; i < before.data.size(); ++i) {
    double want = before.data[i] + update.data[i];
    wrong += std::abs(after.data[i] - want) > std::abs(want) * 0x1p-24 + 1e-45;
  }
  EXPECT_EQ(wrong, 0u) << name << " is not its old value plus its update";
}

struct StepCase {
  const char* name;
  const char* target;
  bool exact;
};

class AlexNetStepTest : public testing::TestWithParam<StepCase> {};

TEST_P(AlexNetStepTest, MatchesPlainLoops) {
  RunOptions options{.target = parse_target(GetParam().target),
                     .precision = Precision::fp32,
                     .exact = GetParam().exact,
                     .fuse = true,
                     .guards = false};
  Network network = small_alexnet();
  PreparedGraph prepared =
      prepare_training(forward_graph(network, samples), network.recipe.train.optimizer, options);
  EXPECT_EQ(network.recipe.train.optimizer.momentum, momentum);
  EXPECT_EQ(network.recipe.train.optimizer.decay, decay);
  const Expected& e = expected(prepared.graph);
  Tensors got = compile(std::move(prepared), options).run(e.inputs);
  double loss = got.at("loss").data[0];
  EXPECT_LT(std::abs(loss - e.step.loss), 1e-6 * e.step.loss);
  double worst = 0;
  EXPECT_EQ(e.step.gradients.size(), 16u);
  for (const auto& [name, gradient] : e.step.gradients) {
    RefTensor want = expected_update(e, name);
    double error = relative_error(got.at(name + ".momentum"), want);
    EXPECT_LT(error, 2e-5) << name;
    expect_added(e.inputs.at(name), got.at(name), got.at(name + ".momentum"), name);
    worst = std::max(worst, error);
    std::printf("  %-14s update %.2g\n", name.c_str(), error);
  }
  std::printf("alexnet, %s: loss off by %.2g relative, updates by at most %.2g\n", GetParam().name,
              std::abs(loss / e.step.loss - 1), worst);
}

INSTANTIATE_TEST_SUITE_P(Modes, AlexNetStepTest,
                         testing::Values(StepCase{"fast", "cpu", false},
                                         StepCase{"exact", "cpu", true},
                                         StepCase{"emulated", "emu", false}),
                         [](const auto& mode) { return std::string(mode.param.name); });

} // namespace
} // namespace netc::test
