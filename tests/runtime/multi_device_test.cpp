// Sessions over several devices: feeds, outputs and state are whole for the host, wherever their
// parts are.

#include "tests/runtime/multi_device_support.h"

#include <numeric>

namespace netc::test {
namespace {

using testing::HasSubstr;

/// Each device passes its part of a feed on to its part of an output.
Plan passing_plan(const Shape& shape, const Sharding& parts, bool nhwc) {
  std::vector<Graph> graphs(static_cast<size_t>(parts.devices()));
  for (int i = 0; i < parts.devices(); ++i) {
    Graph& graph = graphs[static_cast<size_t>(i)];
    const Box& box = parts.at(i);
    std::vector<Value*> x;
    if (!is_empty(box))
      x = {add_part(graph, ops::feed, "x", shape, box)};
    Node* node = add_exchange(graph, i, exchange("pass", shape, parts, parts), x);
    if (is_empty(box))
      continue;
    std::vector<int64_t> at;
    for (const Range& range : box)
      at.push_back(range.begin);
    graph.outputs.push_back({"y", node->result(), shape, at});
  }
  return plan_of(std::move(graphs), nhwc);
}

TEST(MultiDevice, TheHostSeesWholeFeedsAndOutputs) {
  const Shape shape = {6, 64, 5, 3};
  for (const Sharding& parts : {cut_along(shape, 0, {0, 4, 6}), cut_along(shape, 1, {0, 16, 64}),
                                cut_along(shape, 2, {0, 3, 3, 5}),
                                cut_along(shape, 0, {0, 1, 2, 3, 6}), replicated(shape, 3)})
    for (bool nhwc : {false, true})
      for (bool fake : {false, true}) {
        std::unique_ptr<Session> session = open(passing_plan(shape, parts, nhwc), fake);
        ASSERT_EQ(session->feed("train", "x").size(), 6u * 64 * 5 * 3 * 4);
        for (unsigned seed = 0; seed < 2; ++seed) {
          session->poison(std::byte{0xff});
          fill(*session, "x", seed);
          std::span<std::byte> feed = session->feed("train", "x");
          const float* x = reinterpret_cast<const float*>(feed.data());
          session->run("train");
          EXPECT_EQ(output(*session, "y"), std::vector<float>(x, x + feed.size() / 4))
              << print(parts) << nhwc << fake;
        }
        EXPECT_TRUE(session->feed("train", "z").empty());
        EXPECT_TRUE(session->output("train", "z").empty());
      }
}

TEST(MultiDevice, DevicesReadWholeRowsWhereTheHostWritesThem) {
  const Shape shape = {4, 64};
  std::unique_ptr<Session> rows = open(passing_plan(shape, cut_along(shape, 0, {0, 1, 4}), false)),
                           columns =
                               open(passing_plan(shape, cut_along(shape, 1, {0, 16, 64}), false));
  for (const auto& session : {rows.get(), columns.get()}) {
    EXPECT_EQ(session->device_bytes(0), 2 * 256) << "a feed and an output";
    EXPECT_EQ(session->device_bytes(1), 2 * 768);
  }
  EXPECT_EQ(rows->device(0).memory_in_use(), 256);
  EXPECT_EQ(rows->device(1).memory_in_use(), 768);
  EXPECT_EQ(columns->device(1).memory_in_use(), 2 * 768) << "columns are copied";
}

/// `w` is cut over the devices, `all` is on each; a step replaces `w` by the sum of the feeds.
Plan state_plan(int devices) {
  const Shape shape = {5, 3};
  const Sharding parts = cut_along(shape, 0, even_bounds(5, devices)),
                 all = replicated(shape, devices);
  std::vector<Graph> graphs(static_cast<size_t>(devices));
  for (int i = 0; i < devices; ++i) {
    Graph& graph = graphs[static_cast<size_t>(i)];
    Value* x = GraphBuilder(graph).value(ops::feed, fmt::format("x{}", i), {},
                                         type_of({DType::f32, shape}));
    add_part(graph, ops::parameter, "all", shape, whole_box(shape));
    std::vector<Value*> operands = {x};
    if (!is_empty(parts.at(i)))
      operands.push_back(add_part(graph, ops::parameter, "w", shape, parts.at(i)));
    Node* node = add_exchange(graph, i, exchange("sum", shape, all, parts, Combine::sum), operands);
    if (!is_empty(parts.at(i)))
      graph.stores.push_back({operands[1], node->result()});
  }
  return plan_of(std::move(graphs));
}

TEST(MultiDevice, StateIsWholeForTheHost) {
  for (int devices : {2, 3, 8})
    for (bool fake : {false, true}) {
      const Plan plan = state_plan(devices);
      ASSERT_EQ(plan.state.size(), 2u);
      EXPECT_EQ(plan.state[1].type.shape, (Shape{5, 3})) << plan.state[1].name;
      std::unique_ptr<Session> session = open(plan, fake);
      for (const char* name : {"w", "all"}) {
        session->write_state(name, [&](std::span<float> values) {
          ASSERT_EQ(values.size(), 15u);
          std::iota(values.begin(), values.end(), *name == 'w' ? 1.0f : 100.0f);
        });
        StateValues state = session->state(name);
        ASSERT_EQ(state.values.size(), 15u);
        for (size_t i = 0; i < 15; ++i)
          EXPECT_EQ(state.values[i], static_cast<float>(i) + (*name == 'w' ? 1 : 100));
      }
      for (int i = 0; i < devices; ++i)
        fill(*session, fmt::format("x{}", i), 5);
      const float* x = reinterpret_cast<const float*>(session->feed("train", "x0").data());
      const std::vector<float> feed(x, x + 15);
      session->run("train");
      StateValues w = session->state("w");
      for (size_t i = 0; i < 15; ++i)
        EXPECT_NEAR(w.values[i], static_cast<float>(devices) * feed[i], 1e-2) << i;
      EXPECT_EQ(session->state("all").values[14], 114);
    }
}

TEST(MultiDevice, InitialValuesDoNotDependOnTheDevices) {
  Plan two = state_plan(2);
  two.state[1].init = "gaussian";
  two.state[1].scale = 1;
  Plan three = state_plan(3);
  three.state = two.state;
  std::unique_ptr<Session> a = open(two), b = open(three);
  a->initialize(7);
  b->initialize(7);
  for (const StateInit& state : two.state) {
    StateValues x = a->state(state.name), y = b->state(state.name);
    EXPECT_TRUE(std::equal(x.values.begin(), x.values.end(), y.values.begin(), y.values.end()));
  }
}

TEST(MultiDevice, ProgramsMustAgreeAboutState) {
  Plan plan = state_plan(2);
  for (int i = 0; i < 2; ++i) {
    Program eval = plan.programs[static_cast<size_t>(i)];
    eval.name = "eval";
    Buffer& w = eval.buffers[static_cast<size_t>(eval.find("w"))];
    w.part = {{i ? 2 : 0, i ? 5 : 2}, {0, 3}}; // 2 and 3 rows, instead of 3 and 2
    w.type.shape[0] = i ? 3 : 2;
    w.bytes = w.type.bytes();
    eval.steps.clear();
    eval.exchanges.clear();
    std::erase_if(eval.buffers, [](const Buffer& b) { return b.alias >= 0; });
    plan.programs.push_back(eval);
  }
  try {
    open(plan);
    FAIL() << "no error";
  } catch (const RuntimeError& error) {
    EXPECT_THAT(error.what(), HasSubstr("device 0 disagree about `w`: `eval` has [0:2, 0:3] of it, "
                                        "others [0:3, 0:3]"));
  }
}

} // namespace
} // namespace netc::test
