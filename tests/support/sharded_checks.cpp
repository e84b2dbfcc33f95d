#include "tests/support/sharded_checks.h"

#include "ir/ops.h"
#include "ir/share.h"
#include "tests/support/parts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <set>

namespace netc::test {

namespace {

using Values = std::unordered_map<const Value*, RefTensor>;

/// Loops that some cuts of some nodes may refuse to be cut by; everything else must be cut.
struct Refusal {
  std::set<std::string> ops, factors;
  const char* why;
};
const std::vector<Refusal>& refusals() {
  static const std::set<std::string> convolutions = {"conv2d", "conv2d_data_gradient",
                                                     "conv2d_weight_gradient"};
  static const std::vector<Refusal> list = {
      {convolutions, {"kernel_height", "kernel_width"}, "the pixels of a kernel stay together"},
      {convolutions, {"in_channel", "out_channel"}, "channels of several groups"},
      {{"conv2d", "conv2d_weight_gradient"}, {"height", "width"}, "windows of padding alone"},
      {{"avg_pool2d_grad"}, {"height", "width"}, "a mean's gradient knows where images end"},
      {{"lrn", "lrn_grad"}, {"channel"}, "one and a half groups"},
      {{"softmax", "softmax_grad"}, {"channel"}, "needs all channels of a pixel"},
  };
  return list;
}

bool may_refuse(const Node& node, const std::string& factor) {
  return std::any_of(refusals().begin(), refusals().end(), [&](const Refusal& r) {
    return r.ops.count(node.op->name) && r.factors.count(factor);
  });
}

std::string to_text(const NodeCut& cut) {
  std::string text = cut.only >= 0 ? fmt::format("on {}", cut.only) : "";
  for (const FactorCut& each : cut.factors)
    text += fmt::format(" {} axis {} [{}]", each.factor, each.axis, fmt::join(each.bounds, ", "));
  return text;
}

/// What the checks of a table count.
struct Counts {
  std::map<std::string, int> checked, refused;                  ///< By operator.
  std::set<std::pair<std::string, std::string>> refusing, seen; ///< Operator and factor.
};

/// A node whose operands and results are known, and its cuts.
class ShardedNode {
public:
  ShardedNode(const Node& node, const Values& values, Counts& counts)
      : node_(node), values_(values), counts_(counts) {}

  /// Checks one cut; false when the node refuses it.
  bool check(const NodeCut& cut, const Mesh& mesh) {
    NodeSharding sharding = shard_node(node_, cut, mesh);
    if (!sharding.error.empty())
      return false;
    SCOPED_TRACE(
        fmt::format("{}\n  over {} devices:{}", print(node_), mesh.devices(), to_text(cut)));
    ++counts_.checked[node_.op->name];
    std::vector<Assembly> results;
    for (const auto& result : node_.results)
      results.emplace_back(result->type);
    for (int d = 0; d < mesh.devices(); ++d)
      add_device(sharding, d, results);
    for (size_t i = 0; i < results.size(); ++i)
      compare(results[i], values_.at(node_.results[i].get()));
    return true;
  }

private:
  void add_device(const NodeSharding& sharding, int d, std::vector<Assembly>& results) {
    const NodeShare& share = sharding.shares[static_cast<size_t>(d)];
    if (share.idle) {
      for (const Sharding& result : sharding.results)
        EXPECT_TRUE(is_empty(result.at(d))) << "device " << d << " is idle";
      return;
    }
    std::vector<RefTensor> computed = compute(share);
    for (size_t i = 0; i < results.size(); ++i) {
      const Sharding& owned = sharding.results[i];
      const Box& box = share.computed[i];
      ASSERT_EQ(computed[i].type, (TensorType{node_.results[i]->type.dtype, shape_of(box)}))
          << "device " << d;
      ASSERT_TRUE(contains(box, owned.at(d))) << "device " << d;
      results[i].add(owned.at(d), crop(computed[i], box, owned.at(d)), owned.combine);
    }
  }

  /// The device's node in double, on its parts of the operands.
  std::vector<RefTensor> compute(const NodeShare& share) {
    Graph local("local");
    GraphBuilder builder(local);
    Tensors inputs;
    std::vector<Value*> operands;
    for (size_t i = 0; i < node_.operands.size(); ++i) {
      RefTensor part = crop(values_.at(node_.operands[i]), share.operands[i]);
      const std::string name = fmt::format("in{}", i);
      operands.push_back(builder.value(
          ops::feed, name, {},
          {{"shape", part.type.shape}, {"dtype", std::string(to_string(part.type.dtype))}}));
      inputs[name] = std::move(part);
    }
    Node* node = builder.apply(*node_.op, "local", operands, share.attrs);
    verify(local);
    Values values = interpret(local, inputs);
    std::vector<RefTensor> results;
    for (const auto& result : node->results)
      results.push_back(std::move(values.at(result.get())));
    return results;
  }

  void compare(const Assembly& got, const RefTensor& want) {
    EXPECT_EQ(got.missing(), 0);
    EXPECT_EQ(got.differing(), 0);
    if (want.type.dtype == DType::f32)
      EXPECT_LT(relative_error(got.whole(), want), 1e-12);
    else
      EXPECT_EQ(got.whole().data, want.data);
  }

  const Node& node_;
  const Values& values_;
  Counts& counts_;
};

/// Cuts a node by one loop, and by pairs of them.
class Cuts {
public:
  Cuts(const Node& node, const Values& values, Counts& counts)
      : node_(node), sharded_(node, values, counts), counts_(counts) {}

  void check() {
    for (int device : {0, 2})
      EXPECT_TRUE(sharded_.check({{}, device}, Mesh::line(3)));
    EXPECT_TRUE(sharded_.check({}, Mesh::line(2)));
    const std::vector<Factor> factors = node_.op->factors(node_);
    for (const Factor& factor : factors) {
      counts_.seen.insert({node_.op->name, factor.name});
      for (int devices : {1, 2, 3, 4, 8})
        check_one({factor.name, even_bounds(factor.extent, devices)}, Mesh::line(devices));
      for (int devices : {2, 3, 5})
        check_one({factor.name, random_bounds(factor.extent, devices, random_)},
                  Mesh::line(devices));
      // Along one axis of two: devices along the other do the same.
      for (int axis : {0, 1})
        check_one({factor.name, even_bounds(factor.extent, 2), axis}, {{{"x", 2}, {"y", 2}}});
      const FactorCut cut{factor.name, even_bounds(factor.extent, 2)};
      EXPECT_FALSE(sharded_.check({{cut, {cut.factor, cut.bounds, 1}}}, {{{"x", 2}, {"y", 2}}}));
    }
    for (const Factor& a : factors)
      for (const Factor& b : factors)
        if (a.name != b.name)
          for (int columns : {2, 3})
            check_pair({a.name, even_bounds(a.extent, 2), 0},
                       {b.name, even_bounds(b.extent, columns), 1}, columns);
  }

private:
  void check_one(const FactorCut& cut, const Mesh& mesh) {
    if (sharded_.check({{cut}}, mesh))
      return;
    counts_.refusing.insert({node_.op->name, cut.factor});
    ++counts_.refused[node_.op->name];
    EXPECT_TRUE(may_refuse(node_, cut.factor)) << shard_node(node_, {{cut}}, mesh).error;
  }

  /// A pair is refused where one of the two is.
  void check_pair(const FactorCut& a, const FactorCut& b, int columns) {
    const Mesh mesh{{{"x", 2}, {"y", columns}}};
    const bool can = shard_node(node_, {{a}}, mesh).error.empty() &&
                     shard_node(node_, {{b}}, mesh).error.empty();
    EXPECT_EQ(sharded_.check({{a, b}}, mesh), can) << print(node_) << to_text({{a, b}}) << "\n"
                                                   << shard_node(node_, {{a, b}}, mesh).error;
  }

  const Node& node_;
  ShardedNode sharded_;
  Counts& counts_;
  Random random_{20121203};
};

/// Cheap enough for some hundred cuts.
bool is_small(const Node& node) {
  return node.op->flops(node) <= 1'000'000;
}

void expect_refusals(const Counts& counts) {
  for (const auto& [op, factor] : counts.seen)
    for (const Refusal& refusal : refusals())
      if (refusal.ops.count(op) && refusal.factors.count(factor)) {
        EXPECT_TRUE(counts.refusing.count({op, factor}))
            << op << " never refuses to be cut by " << factor << ": " << refusal.why;
      }
}

} // namespace

void check_sharded(const std::string&, const std::vector<OpCase>& cases) {
  CaseGraph built = build_cases(cases);
  const Values values = interpret(built.graph, built.inputs);
  Counts counts;
  std::set<std::string> all;
  for (const auto& node : built.graph.nodes) {
    if (!node->op->reference)
      continue;
    all.insert(node->op->name);
    if (is_small(*node))
      Cuts(*node, values, counts).check();
  }
  for (const std::string& op : all) {
    EXPECT_GT(counts.checked[op], 0) << "no case of " << op << " is small enough";
    std::printf("%s: %d shardings checked, %d refused\n", op.c_str(), counts.checked[op],
                counts.refused[op]);
  }
  expect_refusals(counts);
}

} // namespace netc::test
