// The fusing passes against the graph they start from: random small networks, trained one step.

#include "ir/ops.h"
#include "passes/passes.h"
#include "tests/support/margins.h"
#include "tests/support/random_network.h"
#include "tests/support/run_graph.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <set>

namespace netc::test {
namespace {

constexpr int networks = 60;
/// Relative L2 errors: of values, and of gradients (a momentum that was 0 holds minus the
/// gradient).
constexpr double value_tolerance = 1e-5, gradient_tolerance = 2e-5;
constexpr double least_margin = 1e-5;

struct Errors {
  double against_reference = 0, against_unfused = 0, bodies = 0, forward = 0;
  int redraws = 0;
};

/// Compares all outputs and gradients; returns the largest relative error.
double compare(const Tensors& got, const Tensors& want, double values, double gradients,
               const std::string& what) {
  double worst = 0;
  for (const auto& [name, tensor] : want) {
    bool gradient = name.find(".momentum") != std::string::npos;
    bool output = name == "loss" || name.rfind("middle", 0) == 0;
    if (!gradient && !output)
      continue;
    double error = relative_error(got.at(name), tensor);
    EXPECT_LT(error, gradient ? gradients : values) << what << ", `" << name << "`";
    worst = std::max(worst, error);
  }
  return worst;
}

/// Inputs that keep away from the kinks.
Tensors safe_inputs(const Graph& graph, uint64_t seed, Errors& errors) {
  Random random(seed);
  for (int attempt = 0; attempt < 100; ++attempt) {
    Tensors inputs = random_inputs(graph, random);
    if (smallest_margin(graph, interpret(graph, inputs)) > least_margin)
      return inputs;
    ++errors.redraws;
  }
  ADD_FAILURE() << "no safe inputs";
  return random_inputs(graph, random);
}

void check_network(uint64_t seed, Errors& errors) {
  SCOPED_TRACE(fmt::format("network {}", seed));
  Graph forward = random_network(seed);
  OptimizerSpec plain{.rate = 1, .momentum = 0, .decay = 0};
  RunOptions unfused{.fuse = false, .guards = true}, fused{.fuse = true, .guards = true},
      planned{.fuse = true, .guards = false};
  PreparedGraph before = prepare_training(forward, plain, unfused);
  PreparedGraph after = prepare_training(forward, plain, fused);
  Tensors inputs = safe_inputs(before.graph, seed, errors);
  Tensors want = interpret_outputs(before.graph, inputs);
  errors.bodies = std::max(errors.bodies, compare(interpret_outputs(after.graph, inputs), want,
                                                  1e-12, 1e-12, "interpreted fused graph"));
  EXPECT_EQ(print(parse_graph(print(after.graph))), print(after.graph));
  expect_sound_kernels(after.graph, false);
  Tensors single = compile(std::move(before), unfused).run(inputs, 2);
  compare(single, want, value_tolerance, gradient_tolerance, "unfused");
  Tensors got = compile(std::move(after), fused).run(inputs, 1);
  errors.against_reference = std::max(
      errors.against_reference, compare(got, want, value_tolerance, gradient_tolerance, "fused"));
  errors.against_unfused =
      std::max(errors.against_unfused,
               compare(got, single, value_tolerance, gradient_tolerance, "fused against unfused"));
  Tensors arena = compile(prepare_training(forward, plain, planned), planned).run(inputs, 2);
  for (const auto& [name, tensor] : got)
    EXPECT_TRUE(tensor.data == arena.at(name).data)
        << name << " differs in the planned arena or on two threads";
}

/// Without gradients nothing in the middle is read twice, so that whole chains fuse.
void check_inference(uint64_t seed, Errors& errors) {
  SCOPED_TRACE(fmt::format("network {}, forward", seed));
  Graph forward = random_network(seed);
  RunOptions fused{.fuse = true, .guards = true}, planned{.fuse = true, .guards = false};
  PreparedGraph after = prepare_graph(forward, fused);
  Tensors inputs = safe_inputs(forward, seed, errors);
  Tensors want = interpret_outputs(forward, inputs);
  compare(interpret_outputs(after.graph, inputs), want, 1e-12, 1e-12, "interpreted fused graph");
  expect_sound_kernels(after.graph, false);
  Tensors got = compile(std::move(after), fused).run(inputs, 2);
  errors.forward =
      std::max(errors.forward, compare(got, want, value_tolerance, gradient_tolerance, "fused"));
  Tensors arena = compile(prepare_graph(forward, planned), planned).run(inputs, 1);
  for (const auto& [name, tensor] : got)
    EXPECT_TRUE(tensor.data == arena.at(name).data)
        << name << " differs in the planned arena or on one thread";
}

class RandomNetworks : public testing::TestWithParam<int> {};

TEST_P(RandomNetworks, FusedAsUnfusedAsInterpreted) {
  Errors errors;
  for (uint64_t i = 0; i < 10; ++i) {
    check_network(static_cast<uint64_t>(GetParam()) * 10 + i, errors);
    check_inference(static_cast<uint64_t>(GetParam()) * 10 + i, errors);
  }
  std::printf("worst relative error: fused against reference %.2g, against unfused %.2g, "
              "interpreted bodies %.2g, forward alone %.2g; %d redraws\n",
              errors.against_reference, errors.against_unfused, errors.bodies, errors.forward,
              errors.redraws);
}

/// The fused CUDA text of a training step and of the forward graph, every access checked.
void check_on_emulator(uint64_t seed, Errors& errors) {
  SCOPED_TRACE(fmt::format("network {}", seed));
  const RunOptions options{.target = parse_target("emu"),
                           .precision = Precision::fp32,
                           .fuse = true,
                           .guards = seed % 2 == 0, // else in the planned arena
                           .busy_threads = seed / 10 % 2 == 0 ? 0 : 1 << 16}; // blocks, or none
  Graph forward = random_network(seed);
  PreparedGraph step = prepare_training(forward, {.rate = 1, .momentum = 0, .decay = 0}, options);
  Tensors inputs = safe_inputs(step.graph, seed, errors);
  Tensors want = interpret_outputs(step.graph, inputs);
  Tensors got = compile(std::move(step), options).run(inputs);
  errors.against_reference =
      std::max(errors.against_reference,
               compare(got, want, value_tolerance, gradient_tolerance, "fused, on the emulator"));
  Tensors forward_inputs = safe_inputs(forward, seed, errors);
  Tensors forward_got = compile(prepare_graph(forward, options), options).run(forward_inputs);
  errors.forward =
      std::max(errors.forward, compare(forward_got, interpret_outputs(forward, forward_inputs),
                                       value_tolerance, gradient_tolerance, "forward"));
}

TEST_P(RandomNetworks, FusedOnTheEmulator) {
  Errors errors;
  for (uint64_t i = 0; i < 2; ++i)
    check_on_emulator(static_cast<uint64_t>(GetParam()) * 10 + i, errors);
  std::printf("worst relative error on the emulator: training step %.2g, forward %.2g\n",
              errors.against_reference, errors.forward);
}

/// Has memory hold, in that type, all that is computed and that nobody but kernels which are
/// generated reads; another place of each value in memory comes with it.
void hold_rounded(PreparedGraph& step, DType as) {
  std::set<const Value*> kept;
  for (const Graph::Output& output : step.graph.outputs)
    kept.insert(output.value);
  for (const Graph::Store& store : step.graph.stores)
    kept.insert(store.value);
  for (const auto& node : step.graph.nodes)
    if (node->operands.empty() || node->op->is_contraction() ||
        (node->body && node->attrs.text("kind") == "contraction"))
      kept.insert(node->operands.begin(), node->operands.end());
  auto is_weight_gradient = [](const std::unique_ptr<Node>& node) {
    return node->op == &ops::conv2d_weight_gradient || node->op == &ops::linear_weight_gradient;
  };
  for (const auto& node : step.graph.nodes)
    if (is_weight_gradient(node) ||
        (node->body &&
         std::any_of(node->body->nodes.begin(), node->body->nodes.end(), is_weight_gradient)))
      for (const auto& result : node->results)
        kept.insert(result.get());
  for (const auto& node : step.graph.nodes) {
    for (const auto& result : node->results)
      if (!node->operands.empty() && result->type.dtype == DType::f32 && !kept.count(result.get()))
        result->storage = as;
    if (node->body)
      for (const auto& member : node->body->nodes)
        if (member->op == &ops::argument)
          member->result()->storage =
              node->operands[static_cast<size_t>(member->attrs.integer("index"))]->storage;
  }
  verify(step.graph);
  plan_memory(step.graph, step.context);
}

/// All generated kernels on memory that holds floats rounded, against a reference that rounds
/// alike.
TEST_P(RandomNetworks, RoundedOnTheEmulator) {
  for (DType as : {DType::tf32, DType::bf16}) {
    const uint64_t seed = static_cast<uint64_t>(GetParam()) * 10 + (as == DType::bf16);
    SCOPED_TRACE(fmt::format("network {} in {}", seed, to_string(as)));
    const RunOptions options{.target = parse_target("emu"),
                             .precision = Precision::fp32,
                             .fuse = true,
                             .guards = as == DType::tf32,
                             .busy_threads = 0};
    PreparedGraph step =
        prepare_training(random_network(seed), {.rate = 1, .momentum = 0, .decay = 0}, options);
    hold_rounded(step, as);
    Errors errors;
    Tensors inputs = safe_inputs(step.graph, seed, errors);
    Tensors want = interpret_outputs(step.graph, inputs);
    // Where an element lies between two numbers, f32 and double may choose another.
    const double tolerance = as == DType::bf16 ? 2e-3 : 3e-4;
    std::printf("in %s: %.2g\n", std::string(to_string(as)).c_str(),
                compare(compile(std::move(step), options).run(inputs), want, tolerance, tolerance,
                        "rounded, on the emulator"));
  }
}

/// Steps of one network after ever more rewrites, compared with the whole step.
void check_rewrites(const std::string& target, int64_t stride) {
  Graph forward = random_network(3);
  const OptimizerSpec plain{.rate = 1, .momentum = 0, .decay = 0};
  RunOptions options{.target = parse_target(target), .precision = Precision::fp32, .fuse = true};
  options.guards = false; // values take over each other's memory
  constexpr int64_t plenty = 1 << 20;
  options.rewrites = plenty;
  PreparedGraph whole = prepare_training(forward, plain, options);
  const int64_t total = plenty - whole.context.rewrites_left;
  ASSERT_GT(total, 3);
  Errors errors;
  Tensors inputs = safe_inputs(whole.graph, 3, errors);
  Tensors want = interpret_outputs(whole.graph, inputs);
  for (options.rewrites = 0; options.rewrites <= total; options.rewrites += stride) {
    PreparedGraph some = prepare_training(forward, plain, options);
    compare(compile(std::move(some), options).run(inputs), want, value_tolerance,
            gradient_tolerance, fmt::format("{} of {} rewrites", options.rewrites, total));
  }
}

TEST(Rewrites, AnyNumberGivesTheSameStep) {
  check_rewrites("cpu", 1);
}

TEST(Rewrites, SomeGiveTheSameStepOnTheEmulator) {
  check_rewrites("emu", 3);
}

INSTANTIATE_TEST_SUITE_P(Tens, RandomNetworks, testing::Range(0, networks / 10));

} // namespace
} // namespace netc::test
