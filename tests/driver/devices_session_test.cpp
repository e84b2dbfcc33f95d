// Kernels on several devices: a step cut along the batch, and training as on one device.

#include "runtime/train/trainer.h"
#include "tests/driver/session_support.h"
#include "tests/support/device_graphs.h"
#include "tests/support/gpu.h"
#include "tools/driver/backend.h"

#include <gmock/gmock.h>

namespace netc::test {
namespace {

constexpr int64_t samples = 24, inputs = 70, units = 30;

/// The weights of a linear layer over a batch that is cut into so many parts: the gradients of the
/// parts are summed, and all devices update.
Graph step_of(int device, int devices) {
  Graph graph(fmt::format("device{}", device));
  const std::vector<int64_t> bounds = even_bounds(samples, devices);
  const Range rows{bounds[static_cast<size_t>(device)], bounds[static_cast<size_t>(device) + 1]};
  const Shape weights = {units, inputs};
  Value* x = add_part(graph, ops::feed, "x", {samples, inputs}, {rows, {0, inputs}});
  Value* dy = add_part(graph, ops::feed, "dy", {samples, units}, {rows, {0, units}});
  Value* rate = add_part(graph, ops::feed, "rate", {1}, {{0, 1}});
  Value* w = add_part(graph, ops::parameter, "w", weights, whole_box(weights));
  Value* v = add_part(graph, ops::parameter, "v", weights, whole_box(weights));
  GraphBuilder builder(graph);
  Value* y = builder.value(ops::linear, "y", {x, w});
  Value* gradient = builder.value(ops::linear_weight_gradient, "part", {x, dy});
  if (devices > 1) {
    Exchange sum;
    sum.name = "gradient";
    sum.type.shape = weights;
    sum.from = sum.to = replicated(weights, devices);
    sum.from.combine = Combine::sum;
    gradient = add_exchange(graph, device, sum, {gradient})->result();
  }
  Node* update = builder.apply(ops::sgd_update, "update", {w, gradient, v, rate},
                               {{"momentum", 0.5}, {"decay", 0.01}, {"rate", 1.0}});
  graph.stores = {{w, update->result(0)}, {v, update->result(1)}};
  graph.outputs.push_back({"out", y});
  if (devices > 1) {
    graph.outputs.back().whole = {samples, units};
    graph.outputs.back().at = {rows.begin, 0};
  }
  return graph;
}

Plan compile_step(int devices, const std::string& target, const fs::path& folder) {
  Plan plan;
  plan.target = target;
  LoweringOptions lowering;
  lowering.target = parse_target(target);
  std::vector<Graph> graphs;
  for (int i = 0; i < devices; ++i)
    graphs.push_back(step_of(i, devices));
  KernelSet kernels(lowering.target);
  add_programs(plan, graphs, "train", false, kernels, lowering);
  Backend backend = make_backend(lowering.target, kernel_cache());
  plan.machine = backend.machine;
  plan.kernels = compile_kernels(kernels, backend, 2, folder);
  write_plan(plan, folder);
  return read_plan(folder);
}

std::vector<DeviceSpec> specs(const std::string& kind, int devices) {
  std::vector<DeviceSpec> list;
  for (int i = 0; i < devices; ++i)
    list.push_back({.name = fmt::format("{}:{}", kind, i)});
  return list;
}

/// Three steps; the outputs of the last one, then the state.
std::vector<float> results_of(Session& session) {
  session.poison(std::byte{0xff});
  for (const char* name : {"w", "v"})
    session.write_state(name, [&](std::span<float> values) {
      for (size_t i = 0; i < values.size(); ++i)
        values[i] = static_cast<float>(i % 13) / 13 - 0.5f;
    });
  for (int step = 0; step < 3; ++step) {
    for (const char* name : {"x", "dy", "rate"}) {
      std::span<std::byte> feed = session.feed("train", name);
      float* values = reinterpret_cast<float*>(feed.data());
      for (size_t i = 0; i < feed.size() / 4; ++i)
        values[i] = static_cast<float>((i * 7 + static_cast<size_t>(step)) % 11) / 11 - 0.3f;
    }
    session.run("train");
  }
  std::span<const float> out = session.output_of<float>("train", "out");
  std::vector<float> results(out.begin(), out.end());
  for (const char* name : {"w", "v"}) {
    StateValues state = session.state(name);
    results.insert(results.end(), state.values.begin(), state.values.end());
  }
  return results;
}

/// Compares several devices with `cpu:0` alone. `notes`: where what they remark goes.
void expect_like_one(const std::string& target, const std::vector<DeviceSpec>& devices,
                     std::vector<std::string>* notes = nullptr) {
  SCOPED_TRACE(fmt::format("{} devices for {}", devices.size(), target));
  TemporaryFolder folder;
  Session one(compile_step(1, "cpu", folder / "one"), folder / "one");
  const std::vector<float> want = results_of(one);
  ASSERT_EQ(want.size(), static_cast<size_t>(samples * units + 2 * units * inputs));
  const fs::path at = folder / "several";
  Session several(compile_step(static_cast<int>(devices.size()), target, at), at, devices);
  ASSERT_TRUE(fs::exists(at / "train.1.program.txt"));
  const std::vector<float> got = results_of(several);
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i)
    ASSERT_NEAR(got[i], want[i], 1e-4) << i;
  EXPECT_TRUE(got == results_of(several)) << "another bit";
  if (notes)
    *notes = several.notes();
}

TEST(DevicesSession, ABatchInPartsTrainsLikeAWholeOne) {
  expect_like_one("cpu", specs("cpu", 2));
  expect_like_one("cpu", specs("cpu", 3));
  expect_like_one("emu", specs("emu", 2));
}

TEST(DevicesSessionGpu, ABatchInPartsTrainsLikeAWholeOne) {
  const std::optional<Target> gpu = first_gpu();
  if (!gpu)
    GTEST_SKIP() << no_gpu;
  std::vector<std::string> notes;
  expect_like_one(gpu->str(), {{.name = "cuda:0"}, {.name = "cuda:0"}}, &notes);
  EXPECT_THAT(notes, testing::Contains(testing::StartsWith(
                         "`cuda:0` launches its steps one by one: they exchange tensors")));
}

TEST(DevicesSession, TrainingKnowsNothingOfDevices) {
  TemporaryFolder folder;
  Compiled compiled =
      compile_into(source_of(tiny_network()), test_options(false, 1), folder / "plan");
  std::unique_ptr<Dataset> data = open_dataset("shapes", stored_format(compiled.plan.recipe.input));
  std::map<std::string, std::string> checkpoints;
  for (int devices : {1, 2}) {
    Session session(devices == 1 ? compiled.plan : doubled(compiled.plan), compiled.folder,
                    specs("cpu", devices));
    RunDirectory run = RunDirectory::create_at(folder / fmt::format("run{}", devices));
    TrainOptions options{.steps = 30, .checkpoint_every = 15, .quiet = true};
    options.validate_at_end = true;
    TrainResult result = train(session, *data, run, options);
    ASSERT_TRUE(result.validation);
    // Runs may go on under another number of devices: checkpoints do not tell of it.
    for (const auto& [name, bytes] : files_below(run.path())) {
      if (!name.ends_with(".safetensors"))
        continue;
      auto [at, fresh] = checkpoints.try_emplace(name, bytes);
      EXPECT_TRUE(fresh || at->second == bytes) << name;
    }
  }
  EXPECT_EQ(checkpoints.size(), 2u);
}

} // namespace
} // namespace netc::test
