#pragma once
// Kernel IR: loops over elements. It states intent (parallel, lanes, serial, reduce, barrier); the
// printers of codegen give it threads, vectors, blocks and memory spaces.

#include "ir/dtype.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace netc::kernel {

/// Equal blocks that exact plans cut a reduction in, whose results they combine as a tree. Where it
/// is cut over devices, each holds 4, 2 or 1 of them: a subtree.
constexpr int exact_blocks = 8;

enum class ExprKind { integer, real, var, load, unary, binary, call, select, cast };
enum class StmtKind {
  block,
  parallel,
  serial,
  spread,
  lanes,
  let,
  if_,
  store,
  alloc,
  reduce,
  reduce_lanes,
  barrier
};

struct ExprNode;

/// An immutable expression; copying shares. Its type is f32, i32 or u8 (loads of bytes); conditions
/// are i32 0 or 1. Philox words are i32 bit patterns.
struct Expr {
  std::shared_ptr<const ExprNode> node;

  Expr() = default;
  Expr(int64_t value); // NOLINT: literals are written in place
  Expr(int value) : Expr(static_cast<int64_t>(value)) {}
  Expr(double value); // NOLINT
  const ExprNode* operator->() const { return node.get(); }
  explicit operator bool() const { return node != nullptr; }
};

/// `name` is the variable, operator (`+`, `max`, ...), function or buffer; `args` the operands, or
/// the indices of a load: one a dimension of the buffer, in logical order.
struct ExprNode {
  ExprKind kind;
  DType type;
  std::string name;
  int64_t integer = 0;
  double real = 0;
  std::vector<Expr> args;
};

Expr var(std::string name, DType type = DType::i32);
Expr load(std::string buffer, DType type, std::vector<Expr> indices);
/// Operators: + - * / % min max < <= > >= == != && ||. Integer division and remainder are those
/// of C; netc uses them on non-negative values only.
Expr binary(std::string op, Expr a, Expr b);
/// Functions of f32: sqrt, exp, log, tanh, abs, floor; pow(x, y); `philox(seed0, seed1^stream,
/// counter0, counter1, lane)` gives an i32 word, `uniform(word)` a f32 in [0, 1). Functions of i32
/// bit patterns: `and`, `xor`, `shr` (zeros shifted in).
Expr call(std::string function, std::vector<Expr> args, DType type = DType::f32);
/// Both values are computed, so that both must be defined whatever the condition.
Expr select(Expr condition, Expr yes, Expr no);
Expr cast(DType type, Expr value);
Expr operator+(Expr a, Expr b);
Expr operator-(Expr a, Expr b);
Expr operator*(Expr a, Expr b);
Expr operator/(Expr a, Expr b);
Expr operator%(Expr a, Expr b);
Expr operator<(Expr a, Expr b);
Expr operator<=(Expr a, Expr b);
Expr operator>(Expr a, Expr b);
Expr operator>=(Expr a, Expr b);
Expr operator==(Expr a, Expr b);
Expr operator&&(Expr a, Expr b);
Expr min(Expr a, Expr b);
Expr max(Expr a, Expr b);
/// x^exponent for x > 0; multiples of 1/4 up to 2 in magnitude become square roots and products.
Expr power(Expr x, double exponent);
/// Whether two expressions are written alike; none with a real in it is.
bool same(const Expr& a, const Expr& b);
/// The constant value of an integer expression, if it is one.
std::optional<int64_t> constant(const Expr& e);

struct StmtNode;
using Stmt = std::shared_ptr<const StmtNode>;

/// One statement. Loops run `name` over [lo, hi).
///
/// - parallel: iterations are independent; spread over threads (CPU) or blocks (CUDA). Outermost
///   only. Nested directly, the loops form one iteration space.
/// - serial: in order.
/// - spread: independent; in order (CPU) or over the warps of a block (CUDA). Inside parallel, not
///   inside another; `parallel` iterations share what they allocate among its iterations, which
///   have what is allocated inside for themselves.
/// - lanes: independent; vectors (CPU) or the threads of the block, inside spread of the warp
///   (CUDA).
/// - let: defines scalar `name` = a. - store: name[indices] = a.
/// - alloc: an array `name` of `count` elements private to the parallel (or spread) iteration.
/// - reduce: defines scalar `name` = fold of a over var `var` in [lo, hi) with `op` (`+` or `max`):
///   in order within each of `blocks` equal blocks (1, 2, 4 or 8), the blocks combined as a
///   balanced tree when the plan is exact, in order otherwise.
/// - reduce_lanes: the same outside `lanes`, over values that lanes may compute together.
/// - barrier: every parallel iteration before is complete, and seen, before any after starts.
struct StmtNode {
  StmtKind kind;
  std::string name;
  std::string var;
  std::string op;
  DType type = DType::f32;
  Expr lo, hi, a;
  std::vector<Expr> indices;
  int64_t count = 0;
  int blocks = exact_blocks;
  std::vector<Stmt> body;
  std::vector<Stmt> orelse;
};

enum class Access { in, out, inout, workspace };

/// A buffer of a kernel. Element addresses follow its layout; workspaces are flat.
struct Param {
  std::string name;
  TensorType type;
  Layout layout = Layout::row_major;
  Access access = Access::in;
};

struct Kernel {
  std::string name;
  std::vector<Param> params;
  std::vector<Stmt> body;
};

/// Collects statements; `loop` and friends nest.
class Body {
public:
  Expr let(std::string name, Expr value);
  void store(std::string buffer, std::vector<Expr> indices, Expr value);
  void alloc(std::string name, DType type, int64_t count);
  Expr reduce(std::string name, std::string op, std::string index, Expr lo, Expr hi, Expr value,
              bool lanes = false, int blocks = exact_blocks);
  void barrier();
  void add(Stmt stmt) { stmts_.push_back(std::move(stmt)); }
  /// Adds a loop; `fill(index, body)` writes its body.
  template <class Fill>
  void loop(StmtKind kind, const std::string& name, Expr lo, Expr hi, Fill fill) {
    Body inner;
    fill(var(name), inner);
    add_loop(kind, name, std::move(lo), std::move(hi), inner.take());
  }
  template <class Fill> void when(Expr condition, Fill fill) {
    Body inner;
    fill(inner);
    add_if(std::move(condition), inner.take());
  }
  std::vector<Stmt> take() { return std::move(stmts_); }

private:
  void add_loop(StmtKind kind, const std::string& name, Expr lo, Expr hi, std::vector<Stmt> body);
  void add_if(Expr condition, std::vector<Stmt> body);
  std::vector<Stmt> stmts_;
};

/// The text form (S-expressions); parse_kernel(print(k)) prints the same.
std::string print(const Kernel& kernel);
/// Throws UserError when the text is malformed.
Kernel parse_kernel(const std::string& text);
/// Raises InternalError when a variable or buffer is undefined, a nesting rule is broken or a type
/// does not fit.
void verify(const Kernel& kernel);

} // namespace netc::kernel
