#include "tests/support/op_harness.h"

#include "ir/ops.h"
#include "tests/support/op_checks.h"
#include "tests/support/sharded_checks.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace netc::test {

OperandCase feed(Shape shape, Draw draw) {
  return {{DType::f32, std::move(shape)}, std::move(draw), false};
}

OperandCase parameter(Shape shape, Draw draw) {
  return {{DType::f32, std::move(shape)}, std::move(draw), true};
}

OperandCase integers_feed(Shape shape, Draw draw) {
  return {{DType::i32, std::move(shape)}, std::move(draw), false};
}

namespace {

std::vector<std::pair<std::string, OpTests::Table>>& tables() {
  static std::vector<std::pair<std::string, OpTests::Table>> list;
  return list;
}

/// A test whose body is a function of the table.
class TableTest : public testing::Test {
public:
  using Body = void (*)(const std::string& name, const std::vector<OpCase>& cases);
  TableTest(std::string name, OpTests::Table table, Body body)
      : name_(std::move(name)), table_(table), body_(body) {}
  void TestBody() override { body_(name_, table_()); }

private:
  std::string name_;
  OpTests::Table table_;
  Body body_;
};

Value* add_leaf(CaseGraph& built, const std::string& name, const OperandCase& operand,
                Random& random) {
  GraphBuilder builder(built.graph);
  Attributes attrs{{"shape", std::vector<int64_t>(operand.type.shape)},
                   {"dtype", std::string(to_string(operand.type.dtype))}};
  Value* leaf = builder.value(operand.parameter ? ops::parameter : ops::feed, name, {}, attrs);
  built.inputs[name] = draw(operand.type, operand.draw, random);
  return leaf;
}

/// Makes `value` an output unless it is an input or one already; returns whether it is one.
void add_output(Graph& graph, Value* value) {
  bool known = std::any_of(graph.outputs.begin(), graph.outputs.end(),
                           [&](const Graph::Output& o) { return o.value == value; });
  if (!known && value->node->op != &ops::feed && value->node->op != &ops::parameter)
    graph.outputs.push_back({value->name, value});
}

void add_gradient(CaseGraph& built, CaseGraph::Case& c, const std::string& name, Random& random) {
  std::vector<Value*> cotangents(c.node->results.size(), nullptr);
  c.cotangent = name + ".cotangent";
  cotangents[0] =
      add_leaf(built, c.cotangent, {c.node->result()->type, uniform(-1, 1), false}, random);
  auto wanted = std::make_unique<bool[]>(c.node->operands.size());
  for (size_t i = 0; i < c.node->operands.size(); ++i)
    wanted[i] = c.node->operands[i]->type.dtype == DType::f32;
  GraphBuilder builder(built.graph);
  VjpContext context{builder, *c.node, cotangents, {wanted.get(), c.node->operands.size()}};
  for (Value* gradient : c.node->op->vjp(context)) {
    c.gradients.push_back(gradient);
    if (gradient)
      add_output(built.graph, gradient);
  }
}

} // namespace

OpTests::OpTests(std::string name, Table table) {
  tables().push_back({name, table});
  auto add = [&](const char* suffix, const char* test, TableTest::Body body) {
    testing::RegisterTest(("Operator_" + name + suffix).c_str(), test, nullptr, nullptr, __FILE__,
                          __LINE__,
                          [=]() -> testing::Test* { return new TableTest(name, table, body); });
  };
  add("", "MatchesReference", check_generated_code);
  add("", "OnEmulator", check_on_emulator);
  add("", "Gradient", check_finite_differences);
  add("", "Record", check_record);
  add("", "Sharded", check_sharded);
  add("Gpu", "OnGpu", check_on_gpu);
}

const std::vector<std::pair<std::string, OpTests::Table>>& op_tables() {
  return tables();
}

CaseGraph build_cases(const std::vector<OpCase>& cases) {
  CaseGraph built;
  Random random(20120930);
  for (size_t i = 0; i < cases.size(); ++i) {
    const OpCase& description = cases[i];
    std::string name = fmt::format("case{}", i);
    std::vector<Value*> operands;
    for (size_t k = 0; k < description.operands.size(); ++k)
      operands.push_back(
          add_leaf(built, fmt::format("{}.in{}", name, k), description.operands[k], random));
    GraphBuilder builder(built.graph);
    CaseGraph::Case c{
        &description, builder.apply(*description.op, name, operands, description.attrs), {}, {}};
    for (const auto& result : c.node->results)
      add_output(built.graph, result.get());
    if (description.op->vjp)
      add_gradient(built, c, name, random);
    built.cases.push_back(std::move(c));
  }
  return built;
}

} // namespace netc::test
