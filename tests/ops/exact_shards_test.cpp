// What is cut over devices gives the bits of one device in exact mode: each device sums over its
// share, and the sums are added up as a tree.

#include "ir/lowering.h"
#include "ir/ops.h"
#include "tests/support/op_harness.h"
#include "tests/support/run_graph.h"
#include "tests/support/shards.h"

#include <gtest/gtest.h>

namespace netc::test {
namespace {

using Ints = std::vector<int64_t>;

/// y[n] = sum over c of x[n, c], by one `reduce` in a lane, or by all lanes together.
kernel::Kernel fold_kernel(const Node& node) {
  const TensorType& x = node.operands[0]->type;
  const int blocks = static_cast<int>(node.attrs.integer("blocks"));
  const bool together = node.attrs.flag("together");
  kernel::Body body;
  auto fold = [&](kernel::Body& b, kernel::Expr n) {
    return b.reduce("sum", "+", "i", 0, x.shape[1],
                    kernel::load("x", DType::f32, {std::move(n), kernel::var("i")}), together,
                    blocks);
  };
  body.loop(kernel::StmtKind::parallel, "n", 0, x.shape[0], [&](kernel::Expr n, kernel::Body& b) {
    kernel::Expr sum = together ? fold(b, n) : kernel::Expr(0.0);
    b.loop(kernel::StmtKind::lanes, "l", 0, 1, [&](kernel::Expr l, kernel::Body& lane) {
      lane.store("y", {n + l}, together ? sum : fold(lane, n));
    });
  });
  return {"fold",
          {{"x", x, Layout::row_major, kernel::Access::in},
           {"y", node.result()->type, Layout::row_major, kernel::Access::out}},
          body.take()};
}

const OpDef fold{.name = "fold",
                 .doc = "Sums of rows.",
                 .operands = {{"x", "[n, c]"}},
                 .attrs = {{.name = "blocks", .fallback = Attribute{int64_t{8}}},
                           {.name = "together", .kind = AttrKind::boolean}},
                 .results = {{"", "[n]"}},
                 .infer =
                     [](InferContext& c) {
                       c.results = {{DType::f32, {c.operands[0].shape[0]}}};
                     },
                 .factors =
                     [](const Node& node) {
                       const Shape& x = node.operands[0]->type.shape;
                       return std::vector<Factor>{
                           {"batch", x[0], FactorKind::parallel, {0}, {0}},
                           {"channel", x[1], FactorKind::reduction, {1}, {-1}}};
                     },
                 .lower = KernelLowering{fold_kernel}};

/// The wholes. Dimensions that 8 does not divide leave blocks that differ in length.
std::vector<OpCase> wholes() {
  const Shape x = {8, 16, 5, 4}, w = {20, 16, 3, 3}, y = {8, 20, 5, 4};
  const std::pair<const std::string, Attribute> pad{"pad", Ints{1, 1, 1, 1}};
  const std::pair<const std::string, Attribute> kernel{"kernel", Ints{3, 3}};
  const std::pair<const std::string, Attribute> height{"height", int64_t{5}};
  const std::pair<const std::string, Attribute> width{"width", int64_t{4}};
  return {{&ops::conv2d, {feed(x), parameter(w)}, {pad}},
          {&ops::conv2d_data_gradient, {feed(y), parameter(w)}, {pad, height, width}},
          {&ops::conv2d_weight_gradient, {feed(x), feed(y)}, {pad, kernel}},
          {&ops::conv2d_weight_gradient, {feed({12, 6, 5, 4}), feed({12, 4, 5, 4})}, {pad, kernel}},
          {&ops::linear, {feed({12, 296}), parameter({36, 296})}},
          {&ops::linear_data_gradient, {feed({12, 40}), parameter({40, 20})}},
          {&ops::linear_weight_gradient, {feed({12, 20}), feed({12, 9})}},
          {&ops::linear_weight_gradient, {feed({16, 20}), feed({16, 9})}},
          {&ops::channel_sum, {feed({24, 5, 7, 3})}},
          {&ops::channel_sum, {feed({12, 16, 1, 2})}},
          {&ops::channel_sum, {feed({4, 3, 9, 5})}},
          {&ops::channel_sum, {feed({2, 17})}},
          {&ops::channel_sum, {feed({40, 17})}},
          {&fold, {feed({3, 1000})}, {{"together", true}}},
          {&fold, {feed({3, 1000})}, {{"together", false}}},
          {&fold, {feed({8, 12})}, {{"together", true}}}};
}

/// The sums of the devices as their collective adds them: (a + b) + (c + d).
RefTensor tree_of(std::vector<RefTensor> parts) {
  for (; parts.size() > 1; parts.resize(parts.size() / 2))
    for (size_t i = 0; 2 * i < parts.size(); ++i) {
      RefTensor sum = parts[2 * i];
      for (size_t e = 0; e < sum.data.size(); ++e)
        sum.data[e] =
            static_cast<float>(sum.data[e]) + static_cast<float>(parts[2 * i + 1].data[e]);
      parts[i] = std::move(sum);
    }
  return parts.front();
}

/// One way to cut an operator: along a factor, over `devices`.
struct Cut {
  size_t whole; ///< Of the table.
  Factor factor;
  int64_t devices;
  std::string name;
};

/// Builds the wholes in one graph and one device's share of every cut in another.
class Shards {
public:
  Shards() {
    const std::vector<OpCase> table = wholes();
    Random random(2012);
    for (size_t i = 0; i < table.size(); ++i) {
      const std::string name = fmt::format("{}{}", table[i].op->name, i);
      std::vector<RefTensor> operands;
      for (const OperandCase& operand : table[i].operands)
        operands.push_back(draw(operand.type, operand.draw, random));
      const Node& node = add(whole, name, table[i], operands);
      whole_inputs.merge(named(name, operands));
      for (const Factor& factor : node.op->factors(node))
        for (int64_t devices : {2, 4, 8})
          if (is_cut(node, factor, devices))
            add_cut(table[i],
                    {i, factor, devices, fmt::format("{}.{}{}", name, factor.name, devices)},
                    operands);
    }
  }

  Graph whole{"whole"}, share{"share"};
  Tensors whole_inputs;
  std::vector<Tensors> share_inputs{8}; ///< Of each device; those beyond a cut's begin again.
  std::vector<Cut> cuts;

private:
  /// Pixels are not cut, groups are cut as such, and one number is enough where nothing is summed.
  static bool is_cut(const Node& node, const Factor& factor, int64_t devices) {
    const bool pixels = factor.name == "height" || factor.name == "width";
    const bool reduced = factor.kind == FactorKind::reduction;
    return !pixels && factor.extent % devices == 0 &&
           (reduced || (factor.kind == FactorKind::parallel && devices == 4 && node.op != &fold));
  }

  static Tensors named(const std::string& name, const std::vector<RefTensor>& operands) {
    Tensors list;
    for (size_t k = 0; k < operands.size(); ++k)
      list[fmt::format("{}.in{}", name, k)] = operands[k];
    return list;
  }

  static const Node& add(Graph& graph, const std::string& name, const OpCase& what,
                         const std::vector<RefTensor>& operands) {
    GraphBuilder builder(graph);
    std::vector<Value*> values;
    for (const auto& [leaf, tensor] : named(name, operands))
      values.push_back(
          builder.value(what.operands[values.size()].parameter ? ops::parameter : ops::feed, leaf,
                        {}, {{"shape", Ints(tensor.type.shape)}, {"dtype", std::string("f32")}}));
    Node* node = builder.apply(*what.op, name, values, what.attrs);
    graph.outputs.push_back({name, node->result()});
    return *node;
  }

  void add_cut(OpCase what, const Cut& cut, const std::vector<RefTensor>& operands) {
    std::vector<RefTensor> own;
    for (size_t device = 0; device < share_inputs.size(); ++device) {
      own.clear();
      for (size_t k = 0; k < operands.size(); ++k)
        own.push_back(share_of(operands[k], cut.factor.operand_dims[k], cut.devices,
                               static_cast<int64_t>(device) % cut.devices));
      share_inputs[device].merge(named(cut.name, own));
    }
    if (cut.factor.kind == FactorKind::reduction)
      what.attrs.set("blocks", 8 / cut.devices);
    add(share, cut.name, what, own);
    cuts.push_back(cut);
  }
};

class ExactShards : public testing::TestWithParam<std::string> {};

TEST_P(ExactShards, AddUpToTheWhole) {
  const Shards shards;
  RunOptions options;
  options.target = parse_target(GetParam());
  options.precision = Precision::fp32;
  options.exact = true;
  const CompiledGraph whole = compile(prepare_graph(shards.whole, options), options);
  const CompiledGraph share = compile(prepare_graph(shards.share, options), options);
  const Tensors want = whole.run(shards.whole_inputs);
  std::vector<Tensors> got;
  for (const Tensors& inputs : shards.share_inputs)
    got.push_back(share.run(inputs));
  EXPECT_GE(shards.cuts.size(), 40u);
  for (const Cut& cut : shards.cuts) {
    const RefTensor& all = want.at(shards.whole.outputs[cut.whole].name);
    std::vector<RefTensor> parts;
    for (size_t device = 0; device < static_cast<size_t>(cut.devices); ++device)
      parts.push_back(got[device].at(cut.name));
    if (cut.factor.kind == FactorKind::reduction) {
      EXPECT_TRUE(same_bits(tree_of(parts), all)) << cut.name;
    } else {
      for (size_t device = 0; device < parts.size(); ++device)
        EXPECT_TRUE(same_bits(parts[device], share_of(all, cut.factor.result_dims[0], cut.devices,
                                                      static_cast<int64_t>(device))))
            << cut.name << ", device " << device;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, ExactShards, testing::Values("cpu", "emu"),
                         [](const auto& info) { return info.param; });

/// What `build` raises.
template <class Build> std::string refusal(Build build) {
  try {
    build();
  } catch (const InternalError& error) {
    return error.what();
  }
  return "";
}

TEST(Blocks, AreOneTwoFourOrEight) {
  for (OpCase c : wholes()) {
    if (c.op == &fold)
      continue;
    for (int64_t blocks : {1, 2, 4, 8, 0, 3, 16}) {
      c.attrs.set("blocks", blocks);
      const bool legal = blocks == 1 || blocks == 2 || blocks == 4 || blocks == 8;
      const std::string message = refusal([&] { build_cases({c}); });
      EXPECT_EQ(message.find("must be 1, 2, 4 or 8") == std::string::npos, legal)
          << c.op->name << ": " << message;
    }
  }
}

TEST(Blocks, AreAnOperatorsOwn) {
  CaseGraph built = build_cases(
      {{&ops::conv2d, {feed({2, 4, 5, 5}), parameter({4, 4, 3, 3})}, {{"blocks", int64_t{2}}}},
       {&ops::linear, {feed({2, 4}), parameter({4, 4})}, {{"blocks", int64_t{4}}}}});
  for (const CaseGraph::Case& c : built.cases) {
    EXPECT_LT(c.node->attrs.integer("blocks"), 8);
    for (const Value* gradient : c.gradients)
      EXPECT_EQ(gradient->node->attrs.integer("blocks"), 8) << gradient->name;
  }
  const Graph read = parse_graph(print(built.graph));
  for (size_t i = 0; i < read.nodes.size(); ++i)
    EXPECT_EQ(read.nodes[i]->attrs, built.graph.nodes[i]->attrs) << read.nodes[i]->name;
}

TEST(Blocks, AreNoKeysOfLayers) {
  for (const OpDef* op : all_ops()) {
    if (!op->layer)
      continue;
    for (const AttrDef& key : op->layer->keys.empty() ? op->attrs : op->layer->keys)
      EXPECT_FALSE(key.implied) << op->name << ", " << key.name;
  }
}

} // namespace
} // namespace netc::test
