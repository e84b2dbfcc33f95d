// In exact mode, devices' kernels give the bits that the kernel of the whole gives.

#include "ir/ops.h"
#include "ir/share.h"
#include "tests/support/parts.h"
#include "tests/support/run_graph.h"
#include "tests/support/sharded_checks.h"

#include <gtest/gtest.h>

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
  explicit CutGraph(const std::vector<OpCase>& cases) : built_(build_cases(cases)) {
    const auto values = interpret(built_.graph, built_.inputs);
    std::vector<const Node*> nodes;
    for (const auto& node : built_.graph.nodes)
      if ((node->op->is_contraction() || node->op->is_pixel()) && has_known_operands(*node))
        nodes.push_back(node.get());
    for (const Node* node : nodes)
      for (const Factor& factor : node->op->factors(*node))
        for (int devices : {2, 4})
          if (factor.result_dims[0] >= 0)
            add_cut(*node, factor, devices, values);
  }

  Graph& graph() { return built_.graph; }
  const Tensors& inputs() const { return built_.inputs; }
  const std::vector<CutNode>& cuts() const { return cuts_; }

private:
  using Values = std::unordered_map<const Value*, RefTensor>;

  void add_cut(const Node& node, const Factor& factor, int devices, const Values& values) {
    NodeCut cut{{{factor.name, even_bounds(factor.extent, devices)}}};
    NodeSharding sharding = shard_node(node, cut, Mesh::line(devices));
    if (!sharding.error.empty())
      return;
    CutNode added{&node, fmt::format("{} over {}", factor.name, devices), sharding, {}};
    for (const NodeShare& share : sharding.shares)
      added.parts.push_back(share.idle ? nullptr : add_part(node, share, values));
    cuts_.push_back(std::move(added));
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

void expect_same_bits(const CutNode& cut, const Tensors& got) {
  for (size_t i = 0; i < cut.whole->results.size(); ++i) {
    const Value& result = *cut.whole->results[i];
    Assembly parts(result.type);
    for (size_t d = 0; d < cut.parts.size(); ++d)
      if (cut.parts[d]) {
        const Box &owned = cut.sharding.results[i].boxes[d],
                  &computed = cut.sharding.shares[d].computed[i];
        parts.add(owned, crop(got.at(cut.parts[d]->results[i]->name), computed, owned),
                  Combine::none);
      }
    const std::vector<double>&have = parts.whole().data, &want = got.at(result.name).data;
    EXPECT_EQ(parts.missing(), 0) << print(*cut.whole) << "\n  " << cut.cut;
    EXPECT_EQ(std::memcmp(have.data(), want.data(), want.size() * sizeof(double)), 0)
        << print(*cut.whole) << "\n  " << cut.cut << ": other bits";
  }
}

/// Some cases of each operator, the two first and the two last that are cheap; of contractions,
/// which compile slowly, the last.
std::vector<OpCase> some_of(const std::vector<OpCase>& cases) {
  std::map<const OpDef*, std::vector<OpCase>> by_op;
  for (const OpCase& c : cases)
    if (c.exact && c.op->flops(*build_cases({c}).cases.front().node) <= 1'000'000)
      by_op[c.op].push_back(c);
  std::vector<OpCase> some;
  for (const auto& [op, list] : by_op)
    for (size_t i = 0; i < list.size(); ++i)
      if ((i < 2 && !op->is_contraction()) || i + 2 >= list.size())
        some.push_back(list[i]);
  return some;
}

} // namespace

void check_sharded_bits(const std::string& name, const std::vector<OpCase>& cases) {
  CutGraph cut(some_of(cases));
  if (cut.cuts().empty())
    return;
  const RunOptions options{.exact = true};
  const Tensors got = compile(prepare_graph(cut.graph(), options), options).run(cut.inputs());
  for (const CutNode& each : cut.cuts())
    expect_same_bits(each, got);
  std::printf("%s: %zu cuts give the bits of the whole\n", name.c_str(), cut.cuts().size());
}

} // namespace netc::test
