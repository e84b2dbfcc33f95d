// Kernel IR: what its constructors fold, convert and reject.

#include "ir/kernel.h"
#include "ir/support/error.h"

#include <gtest/gtest.h>

#include <cmath>

namespace netc::kernel {
namespace {

/// The text of one expression.
std::string text(const Expr& e) {
  Body body;
  body.let("v", e);
  std::string printed = print(Kernel{"k", {}, body.take()});
  size_t begin = printed.find("(let v ") + 7;
  return printed.substr(begin, printed.rfind("))") - begin);
}

Expr i() {
  return var("i");
}
Expr x() {
  return var("x", DType::f32);
}

TEST(KernelExpr, FoldsIntegerConstants) {
  EXPECT_EQ(text(Expr(7) + 3), "10");
  EXPECT_EQ(text(Expr(7) - 10), "-3");
  EXPECT_EQ(text(Expr(7) * 3), "21");
  EXPECT_EQ(text(Expr(7) / 2), "3");
  EXPECT_EQ(text(Expr(7) % 4), "3");
  EXPECT_EQ(text(min(7, 4)), "4");
  EXPECT_EQ(text(max(7, 4)), "7");
  EXPECT_EQ(text(Expr(7) < 4), "0");
  EXPECT_EQ(text(Expr(4) <= 4), "1");
  EXPECT_EQ(text(Expr(4) == 4), "1");
  EXPECT_EQ(text(binary("!=", 4, 4)), "0");
  EXPECT_EQ(text(Expr(1) && Expr(0)), "0");
  EXPECT_EQ(text(binary("||", 1, 0)), "1");
}

TEST(KernelExpr, LeavesWhatWouldOverflow) {
  EXPECT_EQ(text(Expr(2000000000) + 2000000000), "(+ 2000000000 2000000000)");
  EXPECT_EQ(text(Expr(65536) * 65536), "(* 65536 65536)");
}

TEST(KernelExpr, KeepsUnsignedWordsAsBitPatterns) {
  EXPECT_EQ(text(Expr(int64_t{0xFFFFFFFF})), "-1");
  EXPECT_EQ(text(Expr(int64_t{0x40000000})), "1073741824");
  EXPECT_THROW(Expr(int64_t{1} << 32), InternalError);
}

TEST(KernelExpr, AppliesIntegerIdentities) {
  EXPECT_EQ(text(i() + 0), "i");
  EXPECT_EQ(text(0 + i()), "i");
  EXPECT_EQ(text(i() - 0), "i");
  EXPECT_EQ(text(0 - i()), "(- 0 i)");
  EXPECT_EQ(text(i() * 1), "i");
  EXPECT_EQ(text(1 * i()), "i");
  EXPECT_EQ(text(i() * 0), "0");
  EXPECT_EQ(text(0 * i()), "0");
  EXPECT_EQ(text(i() / 1), "i");
  EXPECT_EQ(text(i() % 1), "0");
  EXPECT_EQ(text(i() && Expr(1)), "i");
  EXPECT_EQ(text(i() && Expr(0)), "0");
  EXPECT_EQ(text(i() * 2 + 1), "(+ (* i 2) 1)");
}

TEST(KernelExpr, FoldsRealsOnlyWhereTheResultIsTheSame) {
  EXPECT_EQ(text(Expr(1.5) + Expr(2.25)), "3.75");
  EXPECT_EQ(text(Expr(1.5) - Expr(2.5)), "-1.0");
  EXPECT_EQ(text(Expr(1.5) * Expr(2.0)), "3.0");
  EXPECT_EQ(text(Expr(1.0) / Expr(3.0)), "(/ 1.0 3.0)");
  EXPECT_EQ(text(x() * 1.0), "x");
  EXPECT_EQ(text(x() / 1.0), "x");
  EXPECT_EQ(text(x() - 0.0), "x");
  EXPECT_EQ(text(x() + 0.0), "(+ x 0.0)") << "-0 + 0 is +0";
  EXPECT_EQ(text(x() * 0.0), "(* x 0.0)") << "inf * 0 is NaN";
}

TEST(KernelExpr, TurnsIntegerLiteralsNextToRealsIntoReals) {
  EXPECT_EQ(text(x() + 2), "(+ x 2.0)");
  EXPECT_EQ(text(max(0, x())), "(max 0.0 x)");
  EXPECT_EQ(text(x() < 0), "(< x 0.0)");
  EXPECT_EQ(text(select(i() < 3, x(), 0)), "(select (< i 3) x 0.0)");
  EXPECT_EQ(text(call("exp", {Expr(2)})), "(exp 2.0)");
  EXPECT_EQ(text(cast(DType::f32, 3)), "3.0");
}

TEST(KernelExpr, HasTypes) {
  EXPECT_EQ((x() < 1)->type, DType::i32);
  EXPECT_EQ((x() * 2)->type, DType::f32);
  EXPECT_EQ(call("uniform", {i()})->type, DType::f32);
  EXPECT_EQ(load("b", DType::bf16, {i()})->type, DType::f32);
  EXPECT_EQ(load("b", DType::tf32, {i()})->type, DType::f32);
  EXPECT_EQ(load("b", DType::u8, {i()})->type, DType::u8);
  EXPECT_EQ(text(cast(DType::f32, x())), "x");
  EXPECT_EQ(text(cast(DType::i32, x())), "(cast i32 x)");
}

TEST(KernelExpr, RejectsWhatDoesNotFit) {
  Expr byte = load("b", DType::u8, {i()});
  EXPECT_THROW(i() + x(), InternalError);
  EXPECT_THROW(byte + 1, InternalError);
  EXPECT_THROW(byte + byte, InternalError);
  EXPECT_THROW(x() % x(), InternalError);
  EXPECT_THROW(x() && x(), InternalError);
  EXPECT_THROW(binary("**", i(), i()), InternalError);
  EXPECT_THROW(i() / 0, InternalError);
  EXPECT_THROW(i() % 0, InternalError);
  EXPECT_THROW(call("sin", {x()}), InternalError);
  EXPECT_THROW(call("exp", {x(), x()}), InternalError);
  EXPECT_THROW(call("uniform", {x()}), InternalError);
  EXPECT_THROW(call("xor", {i(), i()}), InternalError) << "gives i32";
  EXPECT_THROW(select(x(), x(), x()), InternalError);
  EXPECT_THROW(select(i(), i(), x()), InternalError);
  EXPECT_THROW(load("b", DType::f32, {x()}), InternalError);
  EXPECT_THROW(cast(DType::bf16, x()), InternalError);
  EXPECT_THROW(cast(DType::tf32, x()), InternalError);
  EXPECT_THROW(x() + Expr(), InternalError);
}

TEST(KernelExpr, SelectsByAConstant) {
  EXPECT_EQ(text(select(1, x(), 0.5)), "x");
  EXPECT_EQ(text(select(Expr(2) < 1, x(), 0.5)), "0.5");
}

TEST(KernelExpr, WritesPowersAsRoots) {
  EXPECT_EQ(text(power(x(), 0)), "1.0");
  EXPECT_EQ(text(power(x(), 0.25)), "(sqrt (sqrt x))");
  EXPECT_EQ(text(power(x(), 0.5)), "(sqrt x)");
  EXPECT_EQ(text(power(x(), 0.75)), "(* (sqrt x) (sqrt (sqrt x)))");
  EXPECT_EQ(text(power(x(), 1)), "x");
  EXPECT_EQ(text(power(x(), 1.75)), "(* (* x (sqrt x)) (sqrt (sqrt x)))");
  EXPECT_EQ(text(power(x(), 2)), "(* x x)");
  EXPECT_EQ(text(power(x(), -0.5)), "(/ 1.0 (sqrt x))");
  EXPECT_EQ(text(power(x(), -0.75)), "(/ 1.0 (* (sqrt x) (sqrt (sqrt x))))");
  EXPECT_EQ(text(power(x(), -1)), "(/ 1.0 x)");
  EXPECT_EQ(text(power(x(), 2.25)), "(pow x 2.25)");
  EXPECT_EQ(text(power(x(), 0.7)), "(pow x 0.7)");
  EXPECT_EQ(text(power(x(), std::nan(""))), "(pow x nan)");
}

} // namespace
} // namespace netc::kernel
