// Devices that hold parts of a tensor drop what one device drops.

#include "ir/ops.h"
#include "tests/support/draw.h"
#include "tests/support/run_graph.h"
#include "tests/support/shards.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace netc::test {
namespace {

using Ints = std::vector<int64_t>;

/// A graph of dropouts on a whole and on its halves along every dimension that is cut.
class Halves {
public:
  /// Of a feed, or, with `weights`, of what a layer computes of it, whose epilogue draws.
  Halves(Shape shape, const OpDef* layer, Shape weights) : layer_(layer) {
    x_ = draw({DType::f32, std::move(shape)}, uniform(0.5, 1), random_);
    w_ = draw({DType::f32, std::move(weights)}, uniform(0.5, 1), random_);
    seed_ = leaf(ops::feed, "seed", draw({DType::i32, {2}}, values({123456789, -42}), random_));
    step_ = leaf(ops::feed, "step", draw({DType::i32, {1}}, values({77}), random_));
    const Value& whole = *dropout("whole", x_, w_, {});
    // Of what a layer computes, its samples and channels.
    const size_t dims = layer ? 2 : whole.type.shape.size();
    for (size_t dim = 0; dim < dims; ++dim)
      for (int64_t half : {0, 1}) {
        const bool cuts_weights = layer && dim == 1;
        Ints at(whole.type.shape.size(), 0);
        at[dim] = half * whole.type.shape[dim] / 2;
        dropout(name(dim, half), cuts_weights ? x_ : share_of(x_, static_cast<int>(dim), 2, half),
                cuts_weights ? share_of(w_, 0, 2, half) : w_,
                {{"whole", Ints(whole.type.shape)}, {"at", at}});
      }
  }

  /// Checks the outputs of the graph.
  static void check(const Tensors& got) {
    const RefTensor& whole = got.at("whole");
    const auto zeros = std::count(whole.data.begin(), whole.data.end(), 0.0);
    EXPECT_GT(zeros, 0);
    EXPECT_LT(zeros, static_cast<int64_t>(whole.data.size()));
    for (size_t dim = 0; dim < 4; ++dim)
      for (int64_t half : {0, 1})
        if (got.count(name(dim, half))) {
          EXPECT_TRUE(
              same_bits(got.at(name(dim, half)), share_of(whole, static_cast<int>(dim), 2, half)))
              << name(dim, half);
        }
  }

  Graph graph{"halves"};
  Tensors inputs;

private:
  static std::string name(size_t dim, int64_t half) { return fmt::format("dim{}.{}", dim, half); }

  Value* leaf(const OpDef& op, const std::string& name, const RefTensor& tensor) {
    inputs[name] = tensor;
    return GraphBuilder(graph).value(
        op, name, {},
        {{"shape", Ints(tensor.type.shape)}, {"dtype", std::string(to_string(tensor.type.dtype))}});
  }

  Value* dropout(const std::string& name, const RefTensor& x, const RefTensor& w,
                 Attributes attrs) {
    GraphBuilder builder(graph);
    Value* in = leaf(ops::feed, name + ".x", x);
    if (layer_)
      in = builder.value(*layer_, name + ".layer", {in, leaf(ops::parameter, name + ".w", w)});
    attrs.set("stream", int64_t{3});
    Value* y = builder.value(ops::dropout, name, {in, seed_, step_}, attrs);
    graph.outputs.push_back({name, y});
    return y;
  }

  const OpDef* layer_;
  Random random_{1207};
  RefTensor x_, w_;
  Value *seed_ = nullptr, *step_ = nullptr;
};

class DropoutShards : public testing::TestWithParam<std::string> {};

TEST_P(DropoutShards, DrawTheNumbersOfTheWhole) {
  RunOptions options;
  options.target = parse_target(GetParam());
  options.precision = Precision::fp32;
  options.exact = true; // Layers give their halves the bits of the whole.
  options.fuse = true;
  struct Case {
    Shape shape;
    const OpDef* layer;
    Shape weights;
  };
  for (const Case& c :
       {Case{{10}, nullptr, {1}}, Case{{6, 22}, nullptr, {1}}, Case{{4, 6, 2, 10}, nullptr, {1}},
        Case{{4, 5}, &ops::linear, {14, 5}}, Case{{2, 3, 5, 4}, &ops::conv2d, {6, 3, 2, 2}}}) {
    SCOPED_TRACE(fmt::format("{}", TensorType{DType::f32, c.shape}.str()));
    const Halves halves(c.shape, c.layer, c.weights);
    Halves::check(interpret_outputs(halves.graph, halves.inputs));
    PreparedGraph prepared = prepare_graph(halves.graph, options);
    const bool fused = std::any_of(prepared.graph.nodes.begin(), prepared.graph.nodes.end(),
                                   [](const auto& node) { return node->body != nullptr; });
    EXPECT_EQ(fused, c.layer != nullptr);
    Halves::check(compile(std::move(prepared), options).run(halves.inputs));
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, DropoutShards, testing::Values("cpu", "emu"),
                         [](const auto& info) { return info.param; });

TEST(Dropout, PartsLieInTheirWhole) {
  auto builds = [](const Ints& whole, const Ints& at) {
    Graph graph("g");
    GraphBuilder builder(graph);
    auto feed = [&](const char* name, const Ints& shape, const char* type) {
      return builder.value(ops::feed, name, {}, {{"shape", shape}, {"dtype", std::string(type)}});
    };
    Value *x = feed("x", {3, 4}, "f32"), *seed = feed("seed", {2}, "i32");
    Value* step = feed("step", {1}, "i32");
    try {
      builder.value(ops::dropout, "y", {x, seed, step}, {{"whole", whole}, {"at", at}});
    } catch (const InternalError&) {
      return false;
    }
    return true;
  };
  EXPECT_TRUE(builds({}, {}));
  EXPECT_TRUE(builds({3, 4}, {0, 0}));
  EXPECT_TRUE(builds({6, 9}, {3, 5}));
  EXPECT_FALSE(builds({6, 9}, {4, 5})) << "ends outside";
  EXPECT_FALSE(builds({6, 9}, {0, -1})) << "begins outside";
  EXPECT_FALSE(builds({6}, {0})) << "another rank";
  EXPECT_FALSE(builds({6, 9}, {})) << "nowhere";
  EXPECT_FALSE(builds({}, {0, 0})) << "in nothing";
  EXPECT_FALSE(builds({1 << 20, 1 << 20}, {0, 0})) << "larger than tensors are";
}

} // namespace
} // namespace netc::test
