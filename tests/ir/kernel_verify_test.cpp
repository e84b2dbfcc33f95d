// The verifier of Kernel IR: one test a rule.

#include "ir/kernel.h"
#include "ir/support/error.h"
#include "tests/ir/text_fuzz.h"

#include <gtest/gtest.h>

namespace netc::kernel {
namespace {

/// What the verifier says about the kernel of this text, which must parse.
std::string verdict(const std::string& source) {
  Kernel kernel = parse_kernel(source);
  return message_of<InternalError>([&] { verify(kernel); });
}

/// A kernel with input x, output y, workspace w and `body`.
std::string with(const std::string& body) {
  return "(kernel k (param x f32 [4 8] in) (param y f32 [4] out) (param w i32 [9 9] workspace)\n" +
         body + ")";
}

void expect_rejected(const std::string& body, const std::string& reason) {
  std::string message = verdict(with(body));
  EXPECT_NE(message.find("kernel `k`: " + reason), message.npos)
      << body << "\n-> " << (message.empty() ? "accepted" : message);
}

TEST(KernelVerify, AcceptsValidKernels) {
  EXPECT_EQ(verdict(with("")), "");
  EXPECT_EQ(verdict(with("(parallel n 0 4 (store y [n] (load x n 0)))")), "");
  EXPECT_EQ(verdict(with("(parallel n 0 4 (lanes c 0 8 (store w [c] c)) (lanes c 0 8 (let v c)))")),
            "")
      << "names may return in another scope";
  EXPECT_EQ(verdict(with("(let z 1.0) (parallel n 0 4 (store y [n] z))")), "");
}

TEST(KernelVerify, VariablesAreDefinedInScope) {
  Body body;
  body.loop(StmtKind::parallel, "n", 0, 4, [](Expr, Body& b) { b.let("v", var("gone") + 1); });
  Kernel kernel{"k", {}, body.take()};
  EXPECT_NE(message_of<InternalError>([&] { verify(kernel); }).find("no variable `gone`"),
            std::string::npos);
  Body after;
  after.when(Expr(var("k", DType::i32)), [](Body&) {});
  after.let("k", 1);
  EXPECT_THROW(verify(Kernel{"k", {}, after.take()}), InternalError) << "used before its let";
}

TEST(KernelVerify, NothingIsShadowed) {
  expect_rejected("(let v 1) (let v 2)", "`v` shadows");
  expect_rejected("(let v 1) (serial v 0 2)", "`v` shadows");
  expect_rejected("(parallel n 0 2 (lanes n 0 2))", "`n` shadows");
  expect_rejected("(let x 1)", "`x` shadows");
  expect_rejected("(parallel n 0 2 (alloc x f32 3))", "`x` shadows");
  expect_rejected("(let i 1) (reduce s + i 0 2 1.0)", "`i` shadows");
  expect_rejected("(reduce s + s 0 2 1.0) (let s 1)", "`s` shadows");
}

TEST(KernelVerify, BuffersAreKnown) {
  Body body;
  body.let("v", load("x", DType::f32, {0}));
  EXPECT_THROW(verify(Kernel{"k", {}, body.take()}), InternalError);
  expect_rejected("(parallel n 0 4 (if 1 (alloc t f32 2)) (let t 1) (store y [n] (load x n t))"
                  "(if 1 (alloc t f32 2)))",
                  "`t` shadows");
}

TEST(KernelVerify, IndicesMatchRanks) {
  expect_rejected("(let v (load x 0))", "`x` takes 2 indices, got 1");
  expect_rejected("(parallel n 0 4 (store y [n 0] 1.0))", "`y` takes 1 indices, got 2");
  expect_rejected("(parallel n 0 4 (store w [n 0] 1))", "`w` takes 1 indices, got 2");
  expect_rejected("(parallel n 0 4 (alloc t f32 4) (let v (load t 0 0)))", "`t` takes 1 indices");
}

TEST(KernelVerify, InputsAreNotWritten) {
  expect_rejected("(parallel n 0 4 (store x [n 0] 1.0))", "a store to the input `x`");
}

TEST(KernelVerify, TypesAgree) {
  expect_rejected("(parallel n 0 4 (store y [n] 1))", "`y` holds f32, the value stored is i32");
  expect_rejected("(parallel n 0 4 (store w [n] 1.0))", "`w` holds i32, the value stored is f32");
  expect_rejected("(reduce s + i 0 2 (cast u8 1))", "`s` is a reduction");
  expect_rejected("(reduce s min i 0 2 1.0)", "`s` is reduced with `min`");
  expect_rejected("(reduce s + i 0 2 1.0 blocks 3)", "`s` is reduced in 3 blocks");
  auto rejected = [](std::vector<Stmt> body) {
    TensorType type{DType::f32, {4}};
    Kernel kernel{"k", {{"x", type, Layout::row_major, Access::in}}, std::move(body)};
    return !message_of<InternalError>([&] { verify(kernel); }).empty();
  };
  Body as_integer, bound, condition, missing;
  as_integer.let("v", load("x", DType::i32, {0}));
  EXPECT_TRUE(rejected(as_integer.take())) << "loads what the buffer does not hold";
  bound.loop(StmtKind::serial, "i", 0, Expr(2.0), [](Expr, Body&) {});
  EXPECT_TRUE(rejected(bound.take())) << "bound is not an integer";
  condition.when(Expr(1.0), [](Body&) {});
  EXPECT_TRUE(rejected(condition.take())) << "condition is not an integer";
  missing.when(Expr(), [](Body&) {});
  EXPECT_TRUE(rejected(missing.take())) << "no condition";
}

TEST(KernelVerify, ParallelIsOutermost) {
  expect_rejected("(serial i 0 4 (parallel n 0 4))", "the parallel loop `n` is not outermost");
  expect_rejected("(if 1 (parallel n 0 4))", "the parallel loop `n` is not outermost");
  expect_rejected("(parallel n 0 4 (let v 1) (parallel h 0 4))", "the parallel loop `h` is not");
  expect_rejected("(parallel n 0 4 (lanes c 0 4 (parallel h 0 4)))",
                  "the parallel loop `h` is not");
  expect_rejected("(parallel n 0 4 (parallel h n 4))",
                  "a bound of the parallel loop `h` depends on `n`");
}

TEST(KernelVerify, BarriersStandAtTheTop) {
  expect_rejected("(parallel n 0 4 (barrier))", "a barrier stands inside");
  expect_rejected("(serial n 0 4 (barrier))", "a barrier stands inside");
  expect_rejected("(if 1 (barrier))", "a barrier stands inside");
}

TEST(KernelVerify, LanesDoNotNest) {
  expect_rejected("(parallel n 0 4 (lanes c 0 4 (serial i 0 2 (lanes d 0 4))))",
                  "the lanes loop `d` stands inside lanes");
  expect_rejected("(parallel n 0 4 (lanes c 0 4 (reduce_lanes s + i 0 4 1.0)))",
                  "`s` is reduced over lanes inside lanes");
  EXPECT_EQ(verdict(with("(parallel n 0 4 (lanes c 0 4 (reduce s + i 0 4 1.0)))")), "");
}

TEST(KernelVerify, SpreadStandsInsideParallelOnly) {
  EXPECT_EQ(verdict(with("(parallel n 0 4 (serial r 0 2 (spread i 0 4 (lanes c 0 4))))")), "");
  expect_rejected("(spread i 0 4)", "the spread loop `i` stands outside a parallel loop");
  expect_rejected("(parallel n 0 4 (spread i 0 4 (serial r 0 2 (spread j 0 4))))",
                  "the spread loop `j` stands inside another");
  expect_rejected("(parallel n 0 4 (lanes c 0 4 (spread i 0 4)))",
                  "the spread loop `i` stands inside lanes");
}

TEST(KernelVerify, ArraysBelongToAParallelIteration) {
  expect_rejected("(alloc t f32 4)", "`t` is allocated outside a parallel loop");
  expect_rejected("(serial i 0 2 (alloc t f32 4))", "`t` is allocated outside a parallel loop");
  expect_rejected("(parallel n 0 4 (lanes c 0 4 (alloc t f32 4)))",
                  "`t` is allocated inside lanes");
}

TEST(KernelVerify, StoresStandInsideParallel) {
  expect_rejected("(store y [0] 1.0)", "a store to `y` outside a parallel loop");
}

TEST(KernelVerify, ParametersAreSound) {
  EXPECT_NE(verdict("(kernel k (param x f32 [4] in) (param x f32 [4] out))"), "");
  EXPECT_NE(verdict("(kernel k (param x f32 [4 4] nhwc in))"), "");
  EXPECT_NE(verdict("(kernel \"\")"), "");
}

} // namespace
} // namespace netc::kernel
