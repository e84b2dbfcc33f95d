#pragma once
// The harness of the operators: from a table of cases it derives every check of a record.
//
// A file tests/ops/<operator>_test.cpp defines a constant OpTests with its table; that registers
// the tests `Operator_<name>`:
//   MatchesReference  generated code against the reference: fast and exact, on one and two threads
//                     with the same bits, memory behind every buffer untouched; the gradient's code
//                     against the interpreted gradient
//   OnEmulator        the same of the CUDA text, in every precision, on the emulator
//   Gradient          the vjp, built as a graph and computed in double, against central finite
//                     differences of the reference, for every operand that is a real number
//   Record            text round trips of graph and kernels, loop factors, counts
//   Sharded           every loop cut over devices, and pairs of loops over a grid: what devices
//                     compute in double, put together, against the reference of the whole
// and `Operator_<name>Gpu.OnGpu`, the CUDA text on the first GPU.

#include "tests/support/draw.h"
#include "tests/support/interpret.h"

namespace netc::test {

/// An operand of a case: a feed (images lie with channels innermost) or a parameter (as it is in
/// checkpoints).
struct OperandCase {
  TensorType type;
  Draw draw = uniform(-1, 1);
  bool parameter = false;
};
OperandCase feed(Shape shape, Draw draw = uniform(-1, 1));
OperandCase parameter(Shape shape, Draw draw = uniform(-1, 1));
OperandCase integers_feed(Shape shape, Draw draw);

/// One application of an operator.
struct OpCase {
  const OpDef* op;
  std::vector<OperandCase> operands;
  Attributes attrs{};
  /// Terms of the longest reduction; tolerances grow in proportion beyond 10,000.
  int64_t terms = 1;
  bool differences = true; ///< Small enough, and smooth enough, for finite differences.
  bool exact = true;       ///< Compile in exact mode, too.
};

/// Registers the tests of a table of cases.
class OpTests {
public:
  using Table = std::vector<OpCase> (*)();
  OpTests(std::string name, Table table);
};

/// The tables registered so far, by name.
const std::vector<std::pair<std::string, OpTests::Table>>& op_tables();

/// The graph of a table: every case with its operands, and its gradient with a cotangent fed in.
/// All results are outputs.
struct CaseGraph {
  struct Case {
    const OpCase* description;
    Node* node;
    std::string cotangent;               ///< Name of the feed; empty without a gradient.
    std::vector<const Value*> gradients; ///< One an operand; null where there is none.
  };
  Graph graph{"cases"};
  std::vector<Case> cases;
  Tensors inputs;
};
CaseGraph build_cases(const std::vector<OpCase>& cases);

} // namespace netc::test
