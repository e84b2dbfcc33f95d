// In exact mode, devices' kernels give the bits that the kernel of the whole gives.

#include "ir/ops.h"
#include "ir/share.h"
#include "tests/support/op_harness.h"
#include "tests/support/parts.h"
#include "tests/support/run_graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace netc::test {

namespace {

/// A node of the graph, and the nodes in the same graph that devices would have in its place.
struct CutNode {
  const Node* whole;
  std::string cut; ///< For messages.
  NodeSharding sharding;
  std::vector<const Node*> parts; ///< By device; null where it is idle.
};

/// Whether its operands are exact inputs, or integers: what devices read is known before the run.
bool has_known_operands(const Node& node) {
  return std::all_of(node.operands.begin(), node.operands.end(), [](const Value* operand) {
    return operand->node->operands.empty() || operand->type.dtype != DType::f32;
  });
}

/// Adds to a graph of cases the nodes of devices.
class CutGraph {
public:
  CutGraph(const std::vector<OpCase>& cases, const std::vector<int>& numbers)
      : built_(build_cases(cases)) {
    const auto values = interpret(built_.graph, built_.inputs);
    std::vector<const Node*> nodes;
    for (const auto& node : built_.graph.nodes)
      if ((node->op->is_contraction() || node->op->is_pixel() || node->attrs.has("blocks")) &&
          has_known_operands(*node))
        nodes.push_back(node.get());
    for (const Node* node : nodes)
      for (const Factor& factor : node->op->factors(*node))
        for (int devices : numbers)
          if (devices < 8 || factor.result_dims[0] < 0)
            add_cut(*node, factor, devices, values);
  }

  Graph& graph() { return built_.graph; }
  const Tensors& inputs() const { return built_.inputs; }
  const std::vector<CutNode>& cuts() const { return cuts_; }
  int sums() const {
    return static_cast<int>(std::count_if(cuts_.begin(), cuts_.end(), [](const CutNode& cut) {
      return cut.sharding.results[0].combine == Combine::sum;
    }));
  }

private:
  using Values = std::unordered_map<const Value*, RefTensor>;

  void add_cut(const Node& node, const Factor& factor, int devices, const Values& values) {
    NodeCut cut{{{factor.name, even_bounds(factor.extent, devices)}}};
    NodeSharding sharding = shard_node(node, cut, Mesh::line(devices));
    if (!sharding.error.empty() || !has_bits_of_the_whole(node, sharding, devices))
      return;
    CutNode added{&node, fmt::format("{} over {}", factor.name, devices), sharding, {}};
    for (const NodeShare& share : sharding.shares)
      added.parts.push_back(share.idle ? nullptr : add_part(node, share, values));
    cuts_.push_back(std::move(added));
  }

  /// Sums of devices are those of the whole where each device sums up blocks of the whole.
  static bool has_bits_of_the_whole(const Node& node, const NodeSharding& sharding, int devices) {
    if (sharding.results[0].combine != Combine::sum)
      return true;
    return std::all_of(sharding.shares.begin(), sharding.shares.end(), [&](const NodeShare& share) {
      return !share.idle && share.attrs.has("blocks") &&
             share.attrs.integer("blocks") * devices == node.attrs.integer("blocks");
    });
  }

  const Node* add_part(const Node& node, const NodeShare& share, const Values& values) {
    GraphBuilder builder(built_.graph);
    std::vector<Value*> operands;
    for (size_t i = 0; i < node.operands.size(); ++i) {
      const bool parameter = node.operands[i]->node->op == &ops::parameter;
      RefTensor part = crop(values.at(node.operands[i]), share.operands[i]);
      operands.push_back(builder.value(
          parameter ? ops::parameter : ops::feed, "part.in", {},
          {{"shape", part.type.shape}, {"dtype", std::string(to_string(part.type.dtype))}}));
      built_.inputs[operands.back()->name] = std::move(part);
    }
    Node* added = builder.apply(*node.op, "part", operands, share.attrs);
    for (const auto& result : added->results)
      built_.graph.outputs.push_back({result->name, result.get()});
    return added;
  }

  CaseGraph built_;
  std::vector<CutNode> cuts_;
};

/// The sum of devices as exchanges form it: in f32, a binary tree over devices.
std::vector<double> sum_of_parts(const CutNode& cut, size_t i, const Tensors& got) {
  std::vector<std::vector<double>> parts;
  for (const Node* part : cut.parts)
    parts.push_back(got.at(part->results[i]->name).data);
  for (size_t width = 1; width < parts.size(); width *= 2)
    for (size_t d = 0; d + width < parts.size(); d += 2 * width)
      for (size_t k = 0; k < parts[d].size(); ++k)
        parts[d][k] = static_cast<float>(parts[d][k]) + static_cast<float>(parts[d + width][k]);
  return parts[0];
}

std::vector<double> joined_parts(const CutNode& cut, size_t i, const Tensors& got) {
  Assembly parts(cut.whole->results[i]->type);
  for (size_t d = 0; d < cut.parts.size(); ++d)
    if (cut.parts[d]) {
      const Box &owned = cut.sharding.results[i].boxes[d],
                &computed = cut.sharding.shares[d].computed[i];
      parts.add(owned, crop(got.at(cut.parts[d]->results[i]->name), computed, owned),
                Combine::none);
    }
  EXPECT_EQ(parts.missing(), 0) << print(*cut.whole) << "\n  " << cut.cut;
  return parts.whole().data;
}

void expect_same_bits(const CutNode& cut, const Tensors& got) {
  for (size_t i = 0; i < cut.whole->results.size(); ++i) {
    const bool sums = cut.sharding.results[i].combine == Combine::sum;
    const std::vector<double> have = sums ? sum_of_parts(cut, i, got) : joined_parts(cut, i, got);
    const std::vector<double>& want = got.at(cut.whole->results[i]->name).data;
    EXPECT_EQ(std::memcmp(have.data(), want.data(), want.size() * sizeof(double)), 0)
        << print(*cut.whole) << "\n  " << cut.cut << ": other bits";
  }
}

/// Cuts over each of these numbers of devices; over 8 only sums.
void check(const std::vector<OpCase>& cases, const std::vector<int>& numbers = {2, 4, 8}) {
  CutGraph cut(cases, numbers);
  const RunOptions options{.exact = true};
  const Tensors got = compile(prepare_graph(cut.graph(), options), options).run(cut.inputs());
  for (const CutNode& each : cut.cuts())
    expect_same_bits(each, got);
  std::printf("%zu cuts, %d of them of sums\n", cut.cuts().size(), cut.sums());
  EXPECT_GE(cut.cuts().size(), 4 * cases.size());
}

using Ints = std::vector<int64_t>;

TEST(ShardedBits, Convolutions) {
  check({{&ops::conv2d,
          {feed({8, 8, 7, 5}), parameter({16, 8, 3, 2})},
          {{"pad", Ints{1, 0, 1, 1}}, {"stride", Ints{2, 1}}}}});
}

TEST(ShardedBits, GroupedConvolutions) {
  check({{&ops::conv2d,
          {feed({1, 6, 9, 6}), parameter({10, 3, 3, 3})},
          {{"groups", int64_t{2}}, {"pad", Ints{2, 1, 1, 2}}, {"dilation", Ints{2, 1}}}}},
        {2});
}

TEST(ShardedBits, Products) {
  check({{&ops::linear, {feed({16, 40}), parameter({24, 40})}}});
}

TEST(ShardedBits, UnevenProducts) {
  check({{&ops::linear, {feed({3, 37}), parameter({13, 37})}}}, {2});
}

TEST(ShardedBits, Sums) {
  check({{&ops::channel_sum, {feed({8, 6, 4, 3})}}, {&ops::channel_sum, {feed({16, 5})}}});
}

TEST(ShardedBits, Pools) {
  std::vector<OpCase> cases;
  for (const char* rounding : {"floor", "ceil"}) {
    const Attributes attrs = {{"kernel", Ints{3, 3}},
                              {"stride", Ints{2, 2}},
                              {"pad", Ints{1, 0, 0, 1}},
                              {"rounding", std::string(rounding)}};
    cases.push_back({&ops::max_pool2d, {feed({2, 5, 10, 8}, distinct())}, attrs});
    for (const char* divisor : {"clipped", "full"}) {
      cases.push_back({&ops::avg_pool2d, {feed({2, 5, 10, 8})}, attrs});
      cases.back().attrs.set("divisor", std::string(divisor));
    }
  }
  check(cases);
}

TEST(ShardedBits, Normalisations) {
  std::vector<OpCase> cases;
  for (int64_t groups : {1, 2})
    cases.push_back({&ops::lrn,
                     {feed({2, 26, 3, 3})},
                     {{"n", int64_t{5}},
                      {"k", 1.0},
                      {"alpha", 0.5},
                      {"beta", 0.75},
                      {"alpha_over_n", true},
                      {"groups", groups}}});
  check(cases);
}

} // namespace
} // namespace netc::test
