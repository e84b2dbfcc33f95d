// Parentheses of printed expressions: those that the order of evaluation needs, so that sums of f32
// keep their bits.

#include "codegen/expression_printer.h"

#include <gtest/gtest.h>

namespace netc {
namespace {

using kernel::binary;
using kernel::call;
using kernel::Expr;
using kernel::var;

const Expr a = var("a"), b = var("b"), c = var("c"), d = var("d");

Expr negative(const Expr& e) {
  Expr result;
  result.node = std::make_shared<kernel::ExprNode>(
      kernel::ExprNode{.kind = kernel::ExprKind::unary, .type = e->type, .name = "-", .args = {e}});
  return result;
}

std::string print(const Expr& e) {
  return ExpressionPrinter({}, {}).print(e);
}

TEST(ExpressionPrinter, GroupsFromTheLeftWithoutParentheses) {
  EXPECT_EQ(print(a + b + c - d), "a + b + c - d");
  EXPECT_EQ(print(a * b / c % d), "a * b / c % d");
  EXPECT_EQ(print(a * b + c / d), "a * b + c / d");
}

TEST(ExpressionPrinter, KeepsAnyOtherOrder) {
  EXPECT_EQ(print(a + (b + c)), "a + (b + c)");
  EXPECT_EQ(print(a - (b - c)), "a - (b - c)");
  EXPECT_EQ(print(a * (b * c)), "a * (b * c)");
  EXPECT_EQ(print(a * (b / c)), "a * (b / c)");
  EXPECT_EQ(print((a + b) * (c - d)), "(a + b) * (c - d)");
}

TEST(ExpressionPrinter, ConditionsThatMixStandInParentheses) {
  const Expr less = binary("<", a, b), equal = binary("==", c, d);
  EXPECT_EQ(print(binary("<", a + b, c * d)), "a + b < c * d");
  EXPECT_EQ(print(binary("==", less, equal)), "(a < b) == (c == d)");
  EXPECT_EQ(print(binary("&&", binary("&&", less, equal), less)), "a < b && c == d && a < b");
  EXPECT_EQ(print(binary("&&", less, binary("&&", equal, less))), "a < b && (c == d && a < b)");
  EXPECT_EQ(print(binary("||", binary("&&", less, equal), less)), "(a < b && c == d) || a < b");
  EXPECT_EQ(print(binary("&&", less, binary("||", equal, less))), "a < b && (c == d || a < b)");
}

TEST(ExpressionPrinter, SignsNeverMeet) {
  EXPECT_EQ(print(a + Expr(-1)), "a - 1");
  EXPECT_EQ(print(a - Expr(-1)), "a - -1");
  EXPECT_EQ(print(a * Expr(-2)), "a * -2");
  EXPECT_EQ(print(var("x", DType::f32) + Expr(-0.5)), "x + -0.5f");
  EXPECT_EQ(print(negative(a)), "-a");
  EXPECT_EQ(print(negative(negative(a))), "-(-a)");
  EXPECT_EQ(print(negative(Expr(-0.5))), "-(-0.5f)");
  EXPECT_EQ(print(negative(a + b)), "-(a + b)");
  EXPECT_EQ(print(a - negative(b)), "a - -b");
}

TEST(ExpressionPrinter, OperatorsOnBitsAlwaysStandInParentheses) {
  const Expr bits = call("and", {a + b, Expr(3)}, DType::i32);
  EXPECT_EQ(print(bits), "((a + b) & 3)");
  EXPECT_EQ(print(binary("==", bits, Expr(1))), "((a + b) & 3) == 1");
  EXPECT_EQ(print(call("xor", {a, bits}, DType::i32)), "(a ^ ((a + b) & 3))");
}

TEST(ExpressionPrinter, ArgumentsNeedNone) {
  EXPECT_EQ(print(binary("max", a + b, c) * d), "netc::max(a + b, c) * d");
  EXPECT_EQ(print(call("shr", {a + b, Expr(2)}, DType::i32)), "netc::shift_right(a + b, 2)");
  EXPECT_EQ(print(kernel::select(binary("<", a, b), c, d + a)), "netc::select(a < b, c, d + a)");
}

TEST(ExpressionPrinter, AddressesAreLongFromTheFirstProductOn) {
  const std::vector<kernel::Param> params = {
      {"x", {DType::f32, {2, 3, 5, 7}}, Layout::nhwc, kernel::Access::in},
      {"m", {DType::f32, {4, 6}}, Layout::row_major, kernel::Access::in}};
  const ExpressionPrinter printer(params, {});
  EXPECT_EQ(printer.element("x", {a, b, c + 1, d}), "x[((a * 5L + (c + 1)) * 7 + d) * 3 + b]");
  EXPECT_EQ(printer.element("m", {a + b, c}), "m[(a + b) * 6L + c]");
  EXPECT_EQ(printer.element("own", {a + b}), "own[a + b]");
}

TEST(ExpressionPrinter, NarrowAddressesAreLongWhereTheyMustBe) {
  const std::vector<kernel::Param> params = {
      {"x", {DType::f32, {2, 3, 5, 7}}, Layout::nhwc, kernel::Access::in},
      {"large", {DType::u8, {1 << 16, 1 << 15}}, Layout::row_major, kernel::Access::in}};
  const ExpressionPrinter printer(params, {.narrow = true});
  EXPECT_EQ(printer.element("x", {a, b, c, d}), "x[((a * 5 + c) * 7 + d) * 3 + b]");
  EXPECT_EQ(printer.element("large", {a, b}), "large[a * 32768L + b]");
}

TEST(ExpressionPrinter, ApproximateDivisionsAreCalls) {
  const ExpressionPrinter printer({}, {.approximate = true});
  const Expr x = kernel::var("x", DType::f32), y = kernel::var("y", DType::f32);
  EXPECT_EQ(printer.print(x * (y / x)), "x * netc::fast_divide(y, x)");
  EXPECT_EQ(printer.print(call("sqrt", {x + y})), "netc::fast_sqrt(x + y)");
  EXPECT_EQ(printer.print(a / b), "a / b");
}

TEST(ExpressionPrinter, ApproximateInversesOfRootsAreCalls) {
  const ExpressionPrinter printer({}, {.approximate = true});
  const Expr x = kernel::var("x", DType::f32);
  EXPECT_EQ(printer.print(power(x, -0.25)), "netc::fast_inverse_fourth_root(x)");
  EXPECT_EQ(printer.print(power(x, -0.5)), "netc::fast_inverse_root(x)");
  EXPECT_EQ(printer.print(power(x + 0.1, -0.75)),
            "(netc::fast_inverse_root(x + 0.1f) * netc::fast_inverse_fourth_root(x + 0.1f))");
}

// With x = 2^-130 and y = 2^100, 1 / x is out of range and 1 / (x * y) is not.
TEST(ExpressionPrinter, ApproximateDivisorsStayProductsWhereOneInverseMayBeOutOfRange) {
  const ExpressionPrinter printer({}, {.approximate = true});
  const Expr x = kernel::var("x", DType::f32), y = kernel::var("y", DType::f32);
  const Expr one(1.0), root = call("sqrt", {x}), other = call("sqrt", {y});
  EXPECT_EQ(printer.print(one / (x * y)), "netc::fast_divide(1.0f, x * y)");
  EXPECT_EQ(printer.print(one / (x * root)), "netc::fast_divide(1.0f, x * netc::fast_sqrt(x))");
  EXPECT_EQ(printer.print(one / (root * other)),
            "netc::fast_divide(1.0f, netc::fast_sqrt(x) * netc::fast_sqrt(y))");
}

} // namespace
} // namespace netc
