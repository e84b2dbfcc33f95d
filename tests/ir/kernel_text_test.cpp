// The text form of Kernel IR.

#include "ir/kernel.h"
#include "ir/support/error.h"
#include "tests/ir/text_fuzz.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace netc::kernel {
namespace {

/// A kernel that uses every kind of statement and expression.
const char* const everything = R"((kernel everything
  (param x f32 [4 8 5 5] nhwc in)
  (param b bf16 [8] in)
  (param where u8 [4 8] inout)
  (param y f32 [4 8] out)
  (param w f32 [16 2] workspace)
  (param one f32 [] in)
  (parallel n 0 4
    (parallel h 0 5
      (alloc t f32 8)
      (let k (max (- (* h 2) 1) 0))
      (lanes c 0 8
        (store t [c] (* (load x n c h k) (load b c)))
        (reduce s + i k (+ k 3) (load x n c i 0))
        (if (&& (< c 3) (! (> s 0.5)))
          (store y [n c] (- s))
          (store where [n c] (cast u8 7))
          (else
            (block
              (store y [n c] (select (== (load where n c) (cast u8 1)) 1e-05 (pow s -0.7)))))))
      (serial r 0 2
        (reduce_lanes m max j 0 8 (load t j) blocks 4)
        (store w [r] (+ m (load one))))))
  (barrier)
  (parallel p 0 1
    (lanes "1" 0 8
      (store t%2 ["1"] (uniform (philox 1 (xor 2 "1") 3 (shr "1" 2) (and "1" 3)))))))
)";

std::string trip(const std::string& source) {
  return print(parse_kernel(source));
}

std::string replaced(std::string s, const std::string& from, const std::string& to) {
  size_t at = s.find(from);
  EXPECT_NE(at, s.npos) << from;
  return s.replace(at, from.size(), to);
}

std::string valid() {
  return replaced(everything, "store t%2", "store w");
}

TEST(KernelText, RoundTrips) {
  EXPECT_EQ(trip(valid()), valid());
  Kernel kernel = parse_kernel(valid());
  verify(kernel);
  ASSERT_EQ(kernel.params.size(), 6u);
  EXPECT_EQ(kernel.params[0].layout, Layout::nhwc);
  EXPECT_EQ(kernel.params[2].access, Access::inout);
  EXPECT_EQ(kernel.params[5].type.shape.size(), 0u);
  EXPECT_EQ(trip(replaced(valid(), "(load x n c i 0))", "(load x n c i 0) blocks 8)")), valid());
}

TEST(KernelText, BuildsWhatBodyBuilds) {
  Body body;
  body.loop(StmtKind::parallel, "n", 0, 4, [](Expr n, Body& b) {
    b.alloc("t", DType::f32, 8);
    b.loop(StmtKind::lanes, "c", 0, 8, [&](Expr c, Body& l) {
      Expr v = l.let("v", load("x", DType::f32, {n, c}));
      l.when(c < 3, [&](Body& inner) { inner.store("t", {c}, max(v, 0)); });
    });
    Expr m = b.reduce("m", "max", "i", 0, 8, load("t", DType::f32, {var("i")}), true);
    Expr s = b.reduce("s", "+", "i", 0, 8, m, false, 2);
    b.store("y", {n}, s);
  });
  body.barrier();
  TensorType in{DType::f32, {4, 8}}, out{DType::f32, {4}};
  Kernel kernel{
      "rows",
      {{"x", in, Layout::row_major, Access::in}, {"y", out, Layout::row_major, Access::out}},
      body.take()};
  verify(kernel);
  EXPECT_EQ(print(kernel), R"((kernel rows
  (param x f32 [4 8] in)
  (param y f32 [4] out)
  (parallel n 0 4
    (alloc t f32 8)
    (lanes c 0 8
      (let v (load x n c))
      (if (< c 3)
        (store t [c] (max v 0.0))))
    (reduce_lanes m max i 0 8 (load t i))
    (reduce s + i 0 8 m blocks 2)
    (store y [n] s))
  (barrier))
)");
  EXPECT_EQ(trip(print(kernel)), print(kernel));
}

TEST(KernelText, PrintsRealsShortestAndExactly) {
  for (double value : {0.1, 1e-5, 1.0, -0.0, 3e38, 1e300, 5e-324, HUGE_VAL, -HUGE_VAL}) {
    Body body;
    body.let("v", Expr(value));
    Kernel parsed = parse_kernel(print(Kernel{"k", {}, body.take()}));
    double read = parsed.body[0]->a->real;
    EXPECT_EQ(read, value);
    EXPECT_EQ(std::signbit(read), std::signbit(value));
  }
  EXPECT_EQ(trip("(kernel k\n  (let v 0.1)\n  (let w -0.0))\n"),
            "(kernel k\n  (let v 0.1)\n  (let w -0.0))\n");
}

TEST(KernelText, DoesNotFold) {
  std::string source = "(kernel k\n  (let v (+ (* 2 3) 0)))\n";
  EXPECT_EQ(trip(source), source);
}

/// What the parser says about a kernel whose body is `body`.
std::string complaint(const std::string& body) {
  return message_of<UserError>(
      [&] { parse_kernel("(kernel k (param x f32 [4] in)\n(let i 1)\n" + body + ")"); });
}

TEST(KernelText, BlamesAPlace) {
  EXPECT_EQ(complaint("(let v (+ i 1.0))").substr(0, 56),
            "<kernel>:3:9: error: no operator `+` for (i32, f32)\n  (l");
  auto says = [](const std::string& body, const std::string& part) {
    std::string message = complaint(body);
    EXPECT_NE(message.find(part), message.npos) << message;
  };
  says("(lett v 1)", "3:2: error: unknown statement `lett`, did you mean `let`?");
  says("(let v ii)", "3:8: error: no variable `ii`, did you mean `i`?");
  says("(let v (load y 0))", "3:14: error: no buffer `y`");
  says("(let v 5000000000)", "3:8: error: `5000000000` does not fit an i32");
  says("(let v (load x 1.0))", "3:16: error: an index is i32, this is f32");
  says("(if 1.0 (barrier))", "a condition is i32, this is f32");
  says("(let v 1", "the end of the text");
  says("(serial j 0 2 (let w j)) (let u w)", "no variable `w`");
  says("(alloc t f16 2)", "expected a type, got `f16`");
  says("(let v \"i)", "the string does not end on its line");
}

TEST(KernelText, SurvivesDeepNesting) {
  std::string deep(100000, '(');
  EXPECT_NE(message_of<UserError>([&] { parse_kernel("(kernel k (let v " + deep); }), "");
  std::string sum = "1";
  for (int n = 0; n < 3000; ++n)
    sum = "(+ 1 " + sum + ")";
  std::string message = complaint("(let v " + sum + ")");
  EXPECT_NE(message.find("nested more than"), message.npos);
}

TEST(KernelText, SurvivesDamage) {
  fuzz(valid(), 5000, trip);
}

/// Makes valid kernels of any shape.
class RandomKernel {
public:
  explicit RandomKernel(unsigned seed) : random_(seed) {}

  Kernel make() {
    Kernel kernel{.name = "random", .params = {}, .body = {}};
    for (int n = 0; n < 4; ++n) {
      Param p{.name = fmt::format("p{}", n), .type = {}};
      p.type.dtype =
          std::vector{DType::f32, DType::tf32, DType::bf16, DType::u8, DType::i32}[pick(5)];
      for (size_t rank = pick(5); rank > 0; --rank)
        p.type.shape.push_back(1 + static_cast<int64_t>(pick(300)));
      p.layout = p.type.shape.size() == 4 && pick(2) ? Layout::nhwc : Layout::row_major;
      p.access = static_cast<Access>(pick(4));
      kernel.params.push_back(p);
    }
    params_ = kernel.params;
    Body body;
    for (size_t loops = 1 + pick(3); loops > 0; --loops) {
      body.loop(StmtKind::parallel, fresh(), integer(1), integer(1),
                [&](Expr index, Body& b) { in_scope(index, [&] { statements(b, 3, false); }); });
      if (pick(2))
        body.barrier();
    }
    kernel.body = body.take();
    return kernel;
  }

private:
  size_t pick(size_t n) { return random_() % n; }
  std::string fresh() { return fmt::format("v{}", next_++); }

  template <class Act> void in_scope(const Expr& variable, Act act) {
    size_t size = scope_.size();
    scope_.push_back(variable);
    act();
    scope_.resize(size);
  }

  void statements(Body& b, int depth, bool lanes) {
    size_t size = scope_.size();
    for (size_t count = 1 + pick(3); count > 0; --count)
      statement(b, depth, lanes);
    scope_.resize(size);
  }

  void statement(Body& b, int depth, bool lanes) {
    size_t kind = pick(depth > 0 ? 7 : 4);
    if (kind == 0) {
      scope_.push_back(b.let(fresh(), pick(2) ? integer(3) : real(3)));
    } else if (kind == 1) {
      store(b);
    } else if (kind == 2) {
      std::string name = fresh(), index = fresh();
      Expr value;
      in_scope(var(index), [&] { value = real(2); });
      scope_.push_back(b.reduce(name, pick(2) ? "+" : "max", index, integer(1), integer(1), value,
                                !lanes && pick(2)));
    } else if (kind == 3 && !lanes) {
      b.alloc(fresh(), DType::f32, 1 + static_cast<int64_t>(pick(100)));
    } else if (kind == 4) {
      b.when(binary("!=", integer(2), integer(2)),
             [&](Body& inner) { statements(inner, depth - 1, lanes); });
    } else if (kind >= 5) {
      bool is_lanes = !lanes && pick(2);
      b.loop(is_lanes ? StmtKind::lanes : StmtKind::serial, fresh(), integer(2), integer(2),
             [&](Expr index, Body& inner) {
               in_scope(index, [&] { statements(inner, depth - 1, lanes || is_lanes); });
             });
    }
  }

  std::vector<Expr> indices(const Param& p) {
    std::vector<Expr> list;
    size_t rank = p.access == Access::workspace ? 1 : p.type.shape.size();
    for (size_t n = 0; n < rank; ++n)
      list.push_back(integer(1));
    return list;
  }

  void store(Body& b) {
    const Param& p = params_[pick(params_.size())];
    if (p.access == Access::in)
      return;
    Expr value = p.type.dtype == DType::i32  ? integer(3)
                 : p.type.dtype == DType::u8 ? cast(DType::u8, integer(2))
                                             : real(3);
    b.store(p.name, indices(p), value);
  }

  Expr leaf(DType type) {
    std::vector<Expr> fitting;
    for (const Expr& v : scope_)
      if (v->type == type)
        fitting.push_back(v);
    if (!fitting.empty() && pick(3))
      return fitting[pick(fitting.size())];
    if (type == DType::i32)
      return Expr(static_cast<int64_t>(static_cast<int32_t>(random_())) >> pick(32));
    return Expr(std::ldexp(static_cast<double>(random_()), static_cast<int>(pick(80)) - 50));
  }

  Expr integer(int depth) {
    if (depth == 0)
      return leaf(DType::i32);
    static const std::vector<std::string> ops{"+", "-", "*", "min", "max", "<", "<=", "==", "&&"};
    switch (pick(4)) {
    case 0:
      return select(real(depth - 1) >= real(depth - 1), integer(depth - 1), integer(depth - 1));
    case 1:
      return cast(DType::i32, real(depth - 1));
    case 2:
      return integer(depth - 1) / (static_cast<int64_t>(pick(9)) + 1);
    default:
      return binary(ops[pick(ops.size())], integer(depth - 1), integer(depth - 1));
    }
  }

  Expr real(int depth) {
    if (depth == 0)
      return leaf(DType::f32);
    switch (pick(5)) {
    case 0: {
      const Param& p = params_[pick(params_.size())];
      Expr value = load(p.name, p.type.dtype, indices(p));
      return value->type == DType::f32 ? value : cast(DType::f32, value);
    }
    case 1:
      return power(real(depth - 1), 0.25 * static_cast<double>(pick(20)) - 2.5);
    case 2:
      return select(integer(depth - 1), real(depth - 1), real(depth - 1));
    default:
      return binary(std::vector<std::string>{"+", "-", "*", "/", "max"}[pick(5)], real(depth - 1),
                    real(depth - 1));
    }
  }

  std::mt19937 random_;
  int next_ = 0;
  std::vector<Param> params_;
  std::vector<Expr> scope_;
};

TEST(KernelText, RoundTripsRandomKernels) {
  for (unsigned seed = 0; seed < 500; ++seed) {
    Kernel kernel = RandomKernel(seed).make();
    std::string printed = print(kernel);
    ASSERT_NO_THROW(verify(kernel)) << printed;
    Kernel parsed = parse_kernel(printed);
    ASSERT_EQ(print(parsed), printed);
    ASSERT_NO_THROW(verify(parsed)) << printed;
  }
}

} // namespace
} // namespace netc::kernel
