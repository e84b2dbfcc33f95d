#include "ir/kernel.h"

#include "ir/kernel_rules.h"
#include "ir/support/error.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

namespace netc::kernel {

namespace {

Expr make(ExprKind kind, DType type, std::string name, std::vector<Expr> args) {
  Expr e;
  e.node = std::make_shared<ExprNode>(ExprNode{kind, type, std::move(name), 0, 0, std::move(args)});
  return e;
}

bool fits_i32(int64_t value) {
  return value >= std::numeric_limits<int32_t>::min() &&
         value <= std::numeric_limits<int32_t>::max();
}

std::optional<double> real_constant(const Expr& e) {
  if (e->kind == ExprKind::real)
    return e->real;
  return std::nullopt;
}

bool is_int(const Expr& e, int64_t value) {
  return constant(e) == value;
}
bool is_real(const Expr& e, double value) {
  return real_constant(e) == value;
}

/// Turns an integer literal into a real one; anything else stays.
Expr as_real(const Expr& e) {
  if (std::optional<int64_t> value = constant(e))
    return Expr(static_cast<double>(*value));
  return e;
}

/// An integer literal next to an f32 becomes a real literal.
void match_types(Expr& a, Expr& b) {
  if (a->type == DType::f32)
    b = as_real(b);
  else if (b->type == DType::f32)
    a = as_real(a);
}

/// Value of an operator on two integers, or nothing when it is not an i32.
std::optional<int64_t> fold_integers(std::string_view op, int64_t a, int64_t b) {
  NETC_CHECK(b != 0 || (op != "/" && op != "%"), "division by the constant zero in a kernel");
  int64_t value = op == "+"     ? a + b
                  : op == "-"   ? a - b
                  : op == "*"   ? a * b
                  : op == "/"   ? a / b
                  : op == "%"   ? a % b
                  : op == "min" ? std::min(a, b)
                  : op == "max" ? std::max(a, b)
                  : op == "<"   ? a < b
                  : op == "<="  ? a <= b
                  : op == ">"   ? a > b
                  : op == ">="  ? a >= b
                  : op == "=="  ? a == b
                  : op == "!="  ? a != b
                  : op == "&&"  ? a != 0 && b != 0
                                : a != 0 || b != 0;
  if (!fits_i32(value))
    return std::nullopt;
  return value;
}

/// `a op b` for two real literals, or null: division stays, to be rounded once, by the machine.
Expr fold_reals(std::string_view op, double a, double b) {
  if (op == "+")
    return Expr(a + b);
  if (op == "-")
    return Expr(a - b);
  if (op == "*")
    return Expr(a * b);
  if (op == "min")
    return Expr(std::min(a, b));
  if (op == "max")
    return Expr(std::max(a, b));
  return {};
}

/// Simplifies by the identities of integers, or returns null.
Expr integer_identity(std::string_view op, const Expr& a, const Expr& b) {
  if ((op == "+" || op == "-") && is_int(b, 0))
    return a;
  if (op == "+" && is_int(a, 0))
    return b;
  if (op == "*" && (is_int(a, 0) || is_int(b, 0)))
    return Expr(0);
  if ((op == "*" || op == "/") && is_int(b, 1))
    return a;
  if (op == "*" && is_int(a, 1))
    return b;
  if (op == "%" && is_int(b, 1))
    return Expr(0);
  NETC_CHECK((op != "/" && op != "%") || !is_int(b, 0),
             "division by the constant zero in a kernel");
  if (op == "&&" && constant(a))
    return *constant(a) != 0 ? b : Expr(0);
  if (op == "&&" && constant(b))
    return *constant(b) != 0 ? a : Expr(0);
  if (op == "||" && constant(a))
    return *constant(a) == 0 ? b : Expr(1);
  if (op == "||" && constant(b))
    return *constant(b) == 0 ? a : Expr(1);
  return {};
}

/// The identities that hold for every f32, infinities, NaN and -0 included, or null.
Expr real_identity(std::string_view op, const Expr& a, const Expr& b) {
  if ((op == "*" || op == "/") && is_real(b, 1))
    return a;
  if (op == "*" && is_real(a, 1))
    return b;
  if (op == "-" && is_real(b, 0) && !std::signbit(b->real))
    return a;
  return {};
}

std::shared_ptr<StmtNode> make(StmtKind kind, std::string name, DType type = DType::f32) {
  auto stmt = std::make_shared<StmtNode>();
  stmt->kind = kind;
  stmt->name = std::move(name);
  stmt->type = type;
  return stmt;
}

} // namespace

Expr::Expr(int64_t value) {
  // Words of Philox and its constants may be written as unsigned numbers.
  bool word =
      value > std::numeric_limits<int32_t>::max() && value <= std::numeric_limits<uint32_t>::max();
  int64_t wrapped = word ? value - (int64_t{1} << 32) : value;
  NETC_CHECK(fits_i32(wrapped), "the literal {} does not fit an i32", value);
  node = std::make_shared<ExprNode>(ExprNode{ExprKind::integer, DType::i32, {}, wrapped, 0, {}});
}

Expr::Expr(double value)
    : node(std::make_shared<ExprNode>(ExprNode{ExprKind::real, DType::f32, {}, 0, value, {}})) {}

Expr var(std::string name, DType type) {
  return make(ExprKind::var, type, std::move(name), {});
}

Expr load(std::string buffer, DType type, std::vector<Expr> indices) {
  for (const Expr& index : indices)
    NETC_CHECK(index.node && index->type == DType::i32, "an index of `{}` is not an integer",
               buffer);
  return make(ExprKind::load, loaded_type(type), std::move(buffer), std::move(indices));
}

Expr binary(std::string op, Expr a, Expr b) {
  NETC_CHECK(a.node && b.node, "an operand of `{}` is missing", op);
  match_types(a, b);
  std::optional<DType> type = binary_type(op, a->type, b->type);
  NETC_CHECK(type, "no operator `{}` for {} and {}", op, to_string(a->type), to_string(b->type));
  if (a->type == DType::i32) {
    if (constant(a) && constant(b))
      if (std::optional<int64_t> value = fold_integers(op, *constant(a), *constant(b)))
        return Expr(*value);
    if (Expr simpler = integer_identity(op, a, b))
      return simpler;
  } else if (a->type == DType::f32) {
    if (real_constant(a) && real_constant(b))
      if (Expr folded = fold_reals(op, a->real, b->real))
        return folded;
    if (Expr simpler = real_identity(op, a, b))
      return simpler;
  }
  return make(ExprKind::binary, *type, std::move(op), {std::move(a), std::move(b)});
}

Expr call(std::string function, std::vector<Expr> args, DType type) {
  std::optional<FunctionType> known = function_type(function);
  NETC_CHECK(known, "unknown function `{}`", function);
  NETC_CHECK(args.size() == known->arguments, "`{}` takes {} arguments, got {}", function,
             known->arguments, args.size());
  NETC_CHECK(type == known->result, "`{}` gives {}, not {}", function, to_string(known->result),
             to_string(type));
  for (Expr& arg : args) {
    NETC_CHECK(arg.node, "an argument of `{}` is missing", function);
    if (known->argument == DType::f32)
      arg = as_real(arg);
    NETC_CHECK(arg->type == known->argument, "`{}` takes {}, got {}", function,
               to_string(known->argument), to_string(arg->type));
  }
  return make(ExprKind::call, type, std::move(function), std::move(args));
}

Expr select(Expr condition, Expr yes, Expr no) {
  NETC_CHECK(condition.node && yes.node && no.node, "an operand of `select` is missing");
  NETC_CHECK(condition->type == DType::i32, "the condition of `select` is {}",
             to_string(condition->type));
  match_types(yes, no);
  NETC_CHECK(yes->type == no->type, "`select` mixes {} and {}", to_string(yes->type),
             to_string(no->type));
  if (std::optional<int64_t> value = constant(condition))
    return *value != 0 ? yes : no;
  DType type = yes->type;
  return make(ExprKind::select, type, {}, {std::move(condition), std::move(yes), std::move(no)});
}

Expr cast(DType type, Expr value) {
  NETC_CHECK(value.node, "the operand of `cast` is missing");
  NETC_CHECK(!is_rounded(type), "kernels compute in f32: {} is a type of buffers", to_string(type));
  if (value->type == type)
    return value;
  if (type == DType::f32 && constant(value))
    return as_real(value);
  return make(ExprKind::cast, type, {}, {std::move(value)});
}

Expr operator+(Expr a, Expr b) {
  return binary("+", std::move(a), std::move(b));
}
Expr operator-(Expr a, Expr b) {
  return binary("-", std::move(a), std::move(b));
}
Expr operator*(Expr a, Expr b) {
  return binary("*", std::move(a), std::move(b));
}
Expr operator/(Expr a, Expr b) {
  return binary("/", std::move(a), std::move(b));
}
Expr operator%(Expr a, Expr b) {
  return binary("%", std::move(a), std::move(b));
}
Expr operator<(Expr a, Expr b) {
  return binary("<", std::move(a), std::move(b));
}
Expr operator<=(Expr a, Expr b) {
  return binary("<=", std::move(a), std::move(b));
}
Expr operator>(Expr a, Expr b) {
  return binary(">", std::move(a), std::move(b));
}
Expr operator>=(Expr a, Expr b) {
  return binary(">=", std::move(a), std::move(b));
}
Expr operator==(Expr a, Expr b) {
  return binary("==", std::move(a), std::move(b));
}
Expr operator&&(Expr a, Expr b) {
  return binary("&&", std::move(a), std::move(b));
}
Expr min(Expr a, Expr b) {
  return binary("min", std::move(a), std::move(b));
}
Expr max(Expr a, Expr b) {
  return binary("max", std::move(a), std::move(b));
}

Expr power(Expr x, double exponent) {
  x = as_real(x);
  double quarters = std::abs(exponent) * 4;
  if (!(quarters <= 8) || quarters != std::floor(quarters))
    return call("pow", {x, Expr(exponent)});
  // |exponent| = whole + half / 2 + quarter / 4, one factor each.
  int count = static_cast<int>(quarters);
  Expr product;
  auto multiply = [&](const Expr& factor) { product = product ? product * factor : factor; };
  for (int whole = count / 4; whole > 0; --whole)
    multiply(x);
  Expr root = call("sqrt", {x});
  if (count & 2)
    multiply(root);
  if (count & 1)
    multiply(call("sqrt", {root}));
  if (!product)
    return Expr(1.0);
  return exponent < 0 ? Expr(1.0) / product : product;
}

bool same(const Expr& a, const Expr& b) {
  return a.node == b.node ||
         (a->kind == b->kind && a->type == b->type && a->name == b->name &&
          a->integer == b->integer && a->kind != ExprKind::real &&
          std::equal(a->args.begin(), a->args.end(), b->args.begin(), b->args.end(), same));
}

std::optional<int64_t> constant(const Expr& e) {
  if (e.node && e->kind == ExprKind::integer)
    return e->integer;
  return std::nullopt;
}

Expr Body::let(std::string name, Expr value) {
  NETC_CHECK(value.node, "`{}` has no value", name);
  auto stmt = make(StmtKind::let, name, value->type);
  Expr variable = var(std::move(name), value->type);
  stmt->a = std::move(value);
  add(std::move(stmt));
  return variable;
}

void Body::store(std::string buffer, std::vector<Expr> indices, Expr value) {
  NETC_CHECK(value.node, "nothing to store in `{}`", buffer);
  auto stmt = make(StmtKind::store, std::move(buffer), value->type);
  stmt->indices = std::move(indices);
  stmt->a = std::move(value);
  add(std::move(stmt));
}

void Body::alloc(std::string name, DType type, int64_t count) {
  NETC_CHECK(count > 0, "`{}` has {} elements", name, count);
  auto stmt = make(StmtKind::alloc, std::move(name), type);
  stmt->count = count;
  add(std::move(stmt));
}

Expr Body::reduce(std::string name, std::string op, std::string index, Expr lo, Expr hi, Expr value,
                  bool lanes, int blocks) {
  NETC_CHECK(value.node, "`{}` is a reduction of nothing", name);
  NETC_CHECK(op == "+" || op == "max", "no reduction with `{}`", op);
  NETC_CHECK(is_exact_blocks(blocks), "`{}` is a reduction of {} blocks", name, blocks);
  auto stmt = make(lanes ? StmtKind::reduce_lanes : StmtKind::reduce, name, value->type);
  Expr variable = var(std::move(name), value->type);
  stmt->var = std::move(index);
  stmt->op = std::move(op);
  stmt->lo = std::move(lo);
  stmt->hi = std::move(hi);
  stmt->a = std::move(value);
  stmt->blocks = blocks;
  add(std::move(stmt));
  return variable;
}

void Body::barrier() {
  add(make(StmtKind::barrier, {}));
}

void Body::add_loop(StmtKind kind, const std::string& name, Expr lo, Expr hi,
                    std::vector<Stmt> body) {
  NETC_CHECK(kind == StmtKind::parallel || kind == StmtKind::serial || kind == StmtKind::spread ||
                 kind == StmtKind::lanes,
             "`{}` is not the index of a loop", name);
  auto stmt = make(kind, name, DType::i32);
  stmt->lo = std::move(lo);
  stmt->hi = std::move(hi);
  stmt->body = std::move(body);
  add(std::move(stmt));
}

void Body::add_if(Expr condition, std::vector<Stmt> body) {
  auto stmt = make(StmtKind::if_, {});
  stmt->a = std::move(condition);
  stmt->body = std::move(body);
  add(std::move(stmt));
}

} // namespace netc::kernel
