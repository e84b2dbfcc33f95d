// Kernels compute indices in i32: of the largest tensors, too, and threads that step beyond the end
// of a loop.

#include "codegen/lowering.h"
#include "tests/support/device_graphs.h"

#include <gtest/gtest.h>

namespace netc::test {
namespace {

using kernel::Expr;
using kernel::ExprKind;
using kernel::Stmt;
using kernel::StmtKind;

/// What a loop's index grows by, at most: the threads of a block.
constexpr int64_t largest_step = 256;

/// Runs the last iteration of every loop, and of those the last that the conditions let pass.
class LastIteration {
public:
  void run(const std::vector<Stmt>& list) {
    for (const Stmt& s : list)
      run(*s);
  }
  int64_t largest() const { return largest_; }

private:
  void run(const kernel::StmtNode& s) {
    switch (s.kind) {
    case StmtKind::parallel:
    case StmtKind::serial:
    case StmtKind::spread:
    case StmtKind::lanes:
      return loop(s);
    case StmtKind::let:
      variables_[s.name] = value(s.a);
      return;
    case StmtKind::if_:
      return run(value(s.a) != 0 ? s.body : s.orelse);
    case StmtKind::store:
      for (const Expr& index : s.indices)
        value(index);
      value(s.a);
      return;
    default:
      return;
    }
  }

  void loop(const kernel::StmtNode& s) {
    const int64_t last = value(s.hi) - 1;
    ASSERT_LE(value(s.lo), last) << s.name;
    // Parallel loops count in long.
    note(s.kind == StmtKind::parallel ? last : last + largest_step);
    variables_[s.name] = last;
    run(s.body);
  }

  /// Of an integer; 0 of what is none, or stands in memory.
  int64_t value(const Expr& e) {
    std::vector<int64_t> args;
    for (const Expr& arg : e->args)
      args.push_back(value(arg));
    return note(e->kind == ExprKind::integer                           ? e->integer
                : e->kind == ExprKind::var                             ? variables_.at(e->name)
                : e->kind == ExprKind::binary && e->type == DType::i32 ? applied(e->name, args)
                                                                       : 0);
  }

  static int64_t applied(const std::string& op, const std::vector<int64_t>& args) {
    const int64_t a = args[0], b = args[1];
    return op == "+"     ? a + b
           : op == "-"   ? a - b
           : op == "*"   ? a * b
           : op == "/"   ? a / b
           : op == "%"   ? a % b
           : op == "min" ? std::min(a, b)
           : op == "max" ? std::max(a, b)
           : op == "<"   ? a < b
           : op == "<="  ? a <= b
           : op == "&&"  ? a && b
                         : throw std::out_of_range(op);
  }

  int64_t note(int64_t integer) {
    largest_ = std::max(largest_, std::abs(integer));
    return integer;
  }

  std::map<std::string, int64_t> variables_;
  int64_t largest_ = 0;
};

/// Of a node over feeds of these shapes, images nhwc.
int64_t largest_index(const OpDef& op, const std::vector<Shape>& operands, const Attributes& attrs,
                      const std::string& target) {
  Graph graph("large");
  GraphBuilder builder(graph);
  std::vector<Value*> feeds;
  for (const Shape& shape : operands)
    feeds.push_back(builder.value(ops::feed, "x", {}, type_of({DType::f32, shape})));
  const Node& node = *builder.apply(op, "y", feeds, attrs);
  for (const auto& each : graph.nodes)
    for (const auto& result : each->results)
      if (result->type.shape.size() == 4)
        result->layout = Layout::nhwc;
  const LoweringOptions options{.target = parse_target(target), .choose = nullptr};
  const LoweredNode lowered = lower(
      node, [](const Value&) { return true; }, options);
  LastIteration iteration;
  iteration.run(lowered.kernel.body);
  return iteration.largest();
}

TEST(IndexRange, OfTheLargestTensorsFitsI32) {
  const Shape row = {INT32_MAX}, pixels = {46340, 1, 46340, 1};
  const Attributes update = {{"decay", 0.5}, {"momentum", 0.5}, {"rate", 0.5}};
  const Attributes norm = {
      {"n", int64_t{5}}, {"k", 1.0}, {"alpha", 0.5}, {"beta", 0.75}, {"alpha_over_n", false}};
  const std::string cuda = "cuda:sm_90";
  EXPECT_EQ(largest_index(ops::sgd_update, {row, row, row, {1}}, update, "cpu"), INT32_MAX);
  EXPECT_EQ(largest_index(ops::sgd_update, {row, row, row, {1}}, update, cuda), INT32_MAX);
  EXPECT_EQ(largest_index(ops::relu, {row}, {}, cuda), INT32_MAX);
  const int64_t in_tiles = largest_index(ops::lrn_grad, {pixels, pixels}, norm, cuda);
  EXPECT_GE(in_tiles, pixels[0] * pixels[2]);
  EXPECT_LE(in_tiles, INT32_MAX);
}

} // namespace
} // namespace netc::test
