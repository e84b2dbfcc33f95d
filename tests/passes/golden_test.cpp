// What each pass does to a small graph, as text before and after.

#include "tests/passes/pass_support.h"

namespace netc::test {
namespace {

const char* const convnet = R"(
name: net
input: {channels: 3, height: 8, width: 8, stored: 10, crop: random, flip: true, scale: 0.5}
layers:
  - {name: conv1, type: conv2d, filters: 4, kernel: 3, pad: 1}
  - {name: relu1, type: relu}
  - {name: norm1, type: lrn, n: 3, k: 2, alpha: 1e-4, beta: 0.75, alpha_over_n: false}
  - {name: pool1, type: max_pool2d, kernel: 3, stride: 2, rounding: floor}
  - {name: drop1, type: dropout, rate: 0.25, mode: classic}
  - {name: fc2, type: linear, features: 5}
  - {name: drop2, type: dropout, rate: 0.5, mode: inverted}
  - {name: loss, type: softmax_cross_entropy}
)";

/// LeNet's ideas at a size that can be read.
const char* const lenet = R"(
name: lenet-like
input: {channels: 1, height: 6, width: 6}
layers:
  - {name: conv1, type: conv2d, filters: 2, kernel: 3}
  - {name: pool1, type: max_pool2d, kernel: 2, stride: 2, rounding: floor}
  - {name: ip1, type: linear, features: 4}
  - {name: relu1, type: relu}
  - {name: ip2, type: linear, features: 3}
  - {name: loss, type: softmax_cross_entropy}
train:
  optimizer: {rate: 0.01, momentum: 0.9, decay: 5e-4}
  parameters: [{match: "*.bias", rate: 2, decay: 0}]
)";

TEST(Golden, CanonicalizeAtInference) {
  Graph graph = forward_of(convnet, 2);
  PassContext context = context_of(Mode::infer);
  expect_pass_golden("canonicalize-infer", "canonicalize", graph, context);
}

TEST(Golden, CanonicalizeWhileTraining) {
  // What has no effect goes: a factor of 1, a sum of one, a reshape to the same shape.
  Graph graph = parse_graph(R"(graph g {
  %x = feed() {dtype = "f32", shape = [2, 6]} : f32[2,6]
  %a = scale(%x) {factor = 1.0} : f32[2,6]
  %b = add(%a) : f32[2,6]
  %c = reshape(%b) {shape = [6]} : f32[2,6]
  %d = reshape(%c) {shape = [3, 2, 1]} : f32[2,3,2,1]
  %e = concat(%d) : f32[2,3,2,1]
  %f = flatten(%e) : f32[2,6]
  %g = scale(%f) {factor = 2.0} : f32[2,6]
  output g = %g
}
)");
  PassContext context = context_of(Mode::train);
  expect_pass_golden("canonicalize-train", "canonicalize", graph, context);
}

TEST(Golden, FoldConstants) {
  // Chains fold; what depends on a feed, or is too large to be worth it, stays.
  Graph graph = parse_graph(R"(graph g {
  %x = feed() {dtype = "f32", shape = [2, 2]} : f32[2,2]
  %two = constant() {dtype = "f32", shape = [2, 2], value = 2.0} : f32[2,2]
  %three = constant() {dtype = "f32", shape = [2, 2], value = 3.0} : f32[2,2]
  %five = add(%two, %three) : f32[2,2]
  %ten = scale(%five) {factor = 2.0} : f32[2,2]
  %probabilities = softmax(%ten) : f32[2,2]
  %y = add(%x, %probabilities) : f32[2,2]
  %large = constant() {dtype = "f32", shape = [300, 300], value = 1.0} : f32[300,300]
  %kept = scale(%large) {factor = 2.0} : f32[300,300]
  output y = %y
  output kept = %kept
}
)");
  PassContext context = context_of(Mode::train);
  expect_pass_golden("fold-constants", "fold-constants", graph, context);
}

TEST(Golden, CommonSubexpressions) {
  // Equal nodes meet, and so do nodes that become equal; other attributes and other state do not.
  Graph graph = parse_graph(R"(graph g {
  %x = feed() {dtype = "f32", shape = [2, 4]} : f32[2,4]
  %z = feed() {dtype = "f32", shape = [2, 4]} : f32[2,4]
  %seed = feed() {dtype = "i32", shape = [2]} : i32[2]
  %step = feed() {dtype = "i32", shape = [1]} : i32[1]
  %a = relu(%x) : f32[2,4]
  %b = relu(%x) : f32[2,4]
  %c = tanh(%a) : f32[2,4]
  %d = tanh(%b) : f32[2,4]
  %e = scale(%x) {factor = 2.0} : f32[2,4]
  %f = scale(%x) {factor = 3.0} : f32[2,4]
  %g = relu(%z) : f32[2,4]
  %h = dropout(%x, %seed, %step) {mode = "classic", rate = 0.5, stream = 0} : f32[2,4]
  %i = dropout(%x, %seed, %step) {mode = "classic", rate = 0.5, stream = 1} : f32[2,4]
  %sum = add(%c, %d, %e, %f, %g, %h, %i) : f32[2,4]
  output sum = %sum
}
)");
  PassContext context = context_of(Mode::train);
  expect_pass_golden("cse", "cse", graph, context);
}

TEST(Golden, DeadCode) {
  // Parameters stay even if nothing reads them; feeds and whole chains go.
  Graph graph = parse_graph(R"(graph g {
  %x = feed() {dtype = "f32", shape = [2, 4]} : f32[2,4]
  %unread = feed() {dtype = "f32", shape = [2, 4]} : f32[2,4]
  %w = parameter() {decay = 1.0, dtype = "f32", fan_in = 1, fan_out = 1, init = "constant", rate = 1.0, scale = 0.0, shape = [4], trainable = true} : f32[4]
  %a = relu(%x) : f32[2,4]
  %b = tanh(%a) : f32[2,4]
  %c = sigmoid(%b) : f32[2,4]
  output a = %a
}
)");
  PassContext context = context_of(Mode::train);
  expect_pass_golden("dce", "dce", graph, context);
}

TEST(Golden, AutodiffOfAWholeTrainingStep) {
  Graph graph = forward_of(lenet, 2);
  PassContext context = context_of(Mode::train);
  run_until(graph, context, "dce");
  expect_pass_golden("autodiff", "autodiff", graph, context);
}

TEST(Golden, AutodiffAddsWhatMeets) {
  // A value that is read twice gets the sum of its cotangents, a frozen weight gets none.
  Graph graph = forward_of(R"(
name: net
input: {channels: 2, height: 4, width: 4}
layers:
  - {name: conv1, type: conv2d, filters: 2, kernel: 1}
  - {name: relu1, type: relu}
  - {name: conv2, type: conv2d, filters: 2, kernel: 3, pad: 1}
  - {name: sum, type: add, from: [conv2, relu1]}
  - {name: fc, type: linear, features: 2}
  - {name: loss, type: softmax_cross_entropy}
)",
                           1);
  for (const auto& node : graph.nodes)
    if (node->name == "conv2.weight")
      node->attrs.set("trainable", false);
  PassContext context = context_of(Mode::train);
  run_until(graph, context, "dce");
  expect_pass_golden("autodiff-branches", "autodiff", graph, context);
}

TEST(Golden, AssignLayouts) {
  Graph graph = forward_of(lenet, 2);
  PassContext context = context_of(Mode::train);
  run_until(graph, context, "assign-precision");
  expect_pass_golden("assign-layouts", "assign-layouts", graph, context);
}

TEST(Golden, FuseWindows) {
  Graph graph = forward_of(convnet, 2);
  PassContext context = context_of(Mode::train);
  run_until(graph, context, "assign-layouts");
  expect_pass_golden("fuse-windows", "fuse-windows", graph, context);
}

TEST(Golden, FuseEpilogue) {
  Graph graph = forward_of(convnet, 2);
  PassContext context = context_of(Mode::train);
  run_until(graph, context, "fuse-windows");
  expect_pass_golden("fuse-epilogue", "fuse-epilogue", graph, context);
}

TEST(Golden, FuseUpdates) {
  Graph graph = forward_of(lenet, 2);
  PassContext context = context_of(Mode::train);
  run_until(graph, context, "fuse-epilogue");
  expect_pass_golden("fuse-updates", "fuse-updates", graph, context);
}

TEST(Golden, FuseUpdatesIntoGradients) {
  Graph graph = forward_of(lenet, 2);
  PassContext context = context_of(Mode::train);
  context.target = parse_target("emu");
  run_until(graph, context, "fuse-epilogue");
  expect_pass_golden("fuse-updates-gpu", "fuse-updates", graph, context);
}

TEST(Golden, Order) {
  // Both large values would be alive at once; each is summed away before the next is made.
  Graph graph = parse_graph(R"(graph g {
  %x = feed() {dtype = "f32", shape = [1, 2, 8, 8]} : f32[1,2,8,8] nhwc
  %a = relu(%x) : f32[1,2,8,8] nhwc
  %b = tanh(%x) : f32[1,2,8,8] nhwc
  %c = sigmoid(%x) : f32[1,2,8,8] nhwc
  %sum_a = channel_sum(%a) : f32[2]
  %sum_b = channel_sum(%b) : f32[2]
  %sum_c = channel_sum(%c) : f32[2]
  %sum = add(%sum_a, %sum_b, %sum_c) : f32[2]
  output sum = %sum
}
)");
  PassContext context = context_of(Mode::train);
  expect_pass_golden("order", "order", graph, context);
}

/// `offset..end  nodes first..last  name` of everything in the arena, by offset.
std::string plan_text(const Graph& graph, const MemoryPlan& plan) {
  std::vector<std::string> lines;
  auto line = [&](const Extent& e, const std::string& name) {
    lines.push_back(fmt::format("{:6}..{:6}  nodes {:3}..{:3}  {}\n", e.offset, e.offset + e.bytes,
                                e.first, e.last, name));
  };
  for (const auto& node : graph.nodes) {
    for (const auto& result : node->results)
      if (auto it = plan.values.find(result.get()); it != plan.values.end())
        line(it->second, result->name);
    if (auto it = plan.workspaces.find(node.get()); it != plan.workspaces.end())
      line(it->second, "workspace of " + node->name);
  }
  std::sort(lines.begin(), lines.end());
  std::string text =
      fmt::format("arena {} bytes, lower bound {}\n", plan.arena_bytes, plan.lower_bound_bytes);
  for (const std::string& l : lines)
    text += l;
  return text;
}

TEST(Golden, PlanMemory) {
  Graph graph = forward_of(lenet, 2);
  PassContext context = context_of(Mode::train);
  context.workspace_bytes = [](const Node& node) { return node.is("channel_sum") ? 200 : 0; };
  run_until(graph, context, "");
  std::string text = print(graph) + "\n" + plan_text(graph, context.memory);
  expect_golden("tests/passes/goldens/plan-memory.txt", text);
}

} // namespace
} // namespace netc::test
