// Cases of the operators without operands that have code, and the completeness of all tables.

#include "ir/ops.h"
#include "tests/support/op_harness.h"

#include <gtest/gtest.h>

#include <set>

namespace netc::test {
namespace {

OpCase constant(std::vector<int64_t> shape, double value) {
  return {&ops::constant, {}, {{"shape", std::move(shape)}, {"value", value}}};
}

std::vector<OpCase> cases() {
  return {constant({1}, 1), constant({2, 7, 3, 5}, -0.25), constant({3, 11}, 1e-20)};
}

const OpTests tests("leaves", cases);

TEST(OperatorTables, CoverEveryOperatorWithCode) {
  std::set<const OpDef*> covered;
  for (const auto& [name, table] : op_tables())
    for (const OpCase& description : table())
      for (const auto& node : build_cases({description}).graph.nodes)
        covered.insert(node->op);
  for (const OpDef* op : all_ops()) {
    bool has_code = !std::holds_alternative<std::monostate>(op->lower);
    EXPECT_EQ(has_code, op->reference != nullptr) << op->name;
    EXPECT_TRUE(!has_code || covered.count(op)) << "`" << op->name << "` has no case in tests/ops";
  }
}

} // namespace
} // namespace netc::test
