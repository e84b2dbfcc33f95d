#include "codegen/expression_printer.h"

#include "ir/support/error.h"

#include <cmath>

namespace netc {

using kernel::Expr;
using kernel::ExprKind;
using kernel::Param;

const char* type_name(DType type) {
  switch (type) {
  case DType::f32:
    return "float";
  case DType::i32:
    return "int";
  case DType::u8:
    return "unsigned char";
  case DType::tf32:
  case DType::bf16:
    break;
  }
  internal_error(__FILE__, __LINE__, fmt::format("kernels do not compute in {}", to_string(type)));
}

const char* element_name(DType type) {
  return type == DType::tf32 ? "netc::Tf32" : type == DType::bf16 ? "netc::Bf16" : type_name(type);
}

namespace {

std::string real_literal(double value) {
  std::string text = fmt::format("{}", static_cast<float>(value));
  if (text.find_first_of(".en") == text.npos)
    text += ".0";
  return text + "f";
}

/// How tightly the text of an expression holds together; C++'s order, without what readers forget:
/// operators on bits always stand in parentheses, and so do `&&` below `||` and comparisons below
/// comparisons.
enum Binding { logical, comparison, sum, product, sign, primary };

Binding binding(const kernel::ExprNode& e) {
  static const std::map<std::string, Binding> operators = {
      {"||", logical},   {"&&", logical},    {"<", comparison},  {"<=", comparison},
      {">", comparison}, {">=", comparison}, {"==", comparison}, {"!=", comparison},
      {"+", sum},        {"-", sum},         {"*", product},     {"/", product},
      {"%", product}};
  switch (e.kind) {
  case ExprKind::integer:
    return e.integer < 0 ? sign : primary;
  case ExprKind::real:
    return std::signbit(e.real) ? sign : primary;
  case ExprKind::unary:
    return sign;
  case ExprKind::binary: {
    auto it = operators.find(e.name);
    return it == operators.end() ? primary : it->second; // `min` and `max` are calls
  }
  default:
    return primary;
  }
}

Binding tighter_than(Binding b) {
  return static_cast<Binding>(b + 1);
}

} // namespace

ExpressionPrinter::ExpressionPrinter(const std::vector<Param>& params, Options options)
    : options_(options) {
  for (const Param& param : params)
    params_[param.name] = &param;
}

std::string ExpressionPrinter::print(const Expr& e) const {
  switch (e->kind) {
  case ExprKind::integer:
    return std::to_string(e->integer);
  case ExprKind::real:
    return real_literal(e->real);
  case ExprKind::var:
    return e->name;
  case ExprKind::load:
    return loaded(e->name, e->args);
  case ExprKind::unary:
    return e->name + print(e->args[0], primary);
  case ExprKind::binary:
    return binary(*e.node);
  case ExprKind::call:
    return call(*e.node);
  case ExprKind::select:
    return fmt::format("netc::select({}, {}, {})", print(e->args[0]), print(e->args[1]),
                       print(e->args[2]));
  case ExprKind::cast:
    return fmt::format("static_cast<{}>({})", type_name(e->type), print(e->args[0]));
  }
  internal_error(__FILE__, __LINE__, "unknown expression");
}

std::string ExpressionPrinter::print(const Expr& e, int at_least) const {
  const bool call = is_fast_division(*e.node);
  return !call && binding(*e.node) < at_least ? "(" + print(e) + ")" : print(e);
}

bool ExpressionPrinter::is_fast_division(const kernel::ExprNode& e) const {
  return options_.approximate && e.kind == ExprKind::binary && e.name == "/" &&
         e.type == DType::f32;
}

namespace {

/// What `e` is the square root of; null where it is none.
Expr square_of(const Expr& e) {
  return e->kind == ExprKind::call && e->name == "sqrt" ? e->args[0] : Expr();
}

/// What `e` is the square root or the fourth root of; null where it is neither.
Expr radicand(const Expr& e) {
  const Expr square = square_of(e);
  const Expr fourth = square ? square_of(square) : Expr();
  return fourth ? fourth : square;
}

} // namespace

std::string ExpressionPrinter::inverse_root(const Expr& root) const {
  const Expr square = square_of(root);
  if (const Expr fourth = square_of(square))
    return fmt::format("netc::fast_inverse_fourth_root({})", print(fourth));
  return fmt::format("netc::fast_inverse_root({})", print(square));
}

/// The inverses of roots are found as fast as roots. A product of two is not left to their inverses
/// unless they are roots of one number: of others, one inverse may be out of range where the
/// product is not.
std::string ExpressionPrinter::fast_division(const Expr& left, const Expr& right) const {
  if (left->kind == ExprKind::real && left->real == 1) {
    if (radicand(right))
      return inverse_root(right);
    if (right->kind == ExprKind::binary && right->name == "*") {
      const Expr first = radicand(right->args[0]), second = radicand(right->args[1]);
      if (first.node && second.node && kernel::same(first, second))
        return fmt::format("({} * {})", inverse_root(right->args[0]), inverse_root(right->args[1]));
    }
  }
  return fmt::format("netc::fast_divide({}, {})", print(left), print(right));
}

std::string ExpressionPrinter::binary(const kernel::ExprNode& e) const {
  const Expr &left = e.args[0], &right = e.args[1];
  if (e.name == "min" || e.name == "max")
    return fmt::format("netc::{}({}, {})", e.name, print(left), print(right));
  if (is_fast_division(e))
    return fast_division(left, right);
  if (e.name == "+" && right->kind == ExprKind::integer && right->integer < 0)
    return fmt::format("{} - {}", print(left, sum), -right->integer);
  const Binding own = binding(e), next = tighter_than(own);
  // Operators of one rank group from the left; of conditions, only `a && b && c` does.
  const bool chain = own == logical ? left->name == e.name : own != comparison;
  return fmt::format("{} {} {}", print(left, chain ? own : next), e.name, print(right, next));
}

std::string ExpressionPrinter::call(const kernel::ExprNode& e) const {
  if (e.name == "and" || e.name == "xor")
    return fmt::format("({} {} {})", print(e.args[0], sign), e.name == "and" ? "&" : "^",
                       print(e.args[1], sign));
  std::string args;
  for (const Expr& arg : e.args)
    args += (args.empty() ? "" : ", ") + print(arg);
  std::string name = e.name == "shr"                            ? "shift_right"
                     : e.name == "sqrt" && options_.approximate ? "fast_sqrt"
                                                                : e.name;
  return fmt::format("netc::{}({})", name, args);
}

std::string ExpressionPrinter::loaded(const std::string& buffer,
                                      const std::vector<Expr>& indices) const {
  auto it = params_.find(buffer);
  if (!options_.once || it == params_.end())
    return element(buffer, indices);
  return fmt::format("netc::load_once({}, {})", buffer, address(*it->second, indices));
}

/// Logical indices to an address: Horner's scheme over the dimensions in the order of the layout.
/// Long from the first product on, for tensors of 2^31 elements and more.
std::string ExpressionPrinter::address(const Param& param, const std::vector<Expr>& indices) const {
  if (indices.size() == 1)
    return print(indices[0]);
  std::vector<size_t> order = param.layout == Layout::nhwc ? std::vector<size_t>{0, 2, 3, 1}
                                                           : std::vector<size_t>{0, 1, 2, 3};
  order.resize(indices.size());
  const bool wide = !options_.narrow || param.type.elements() > INT32_MAX;
  std::string address = print(indices[order[0]], product);
  for (size_t d = 1; d < indices.size(); ++d) {
    int64_t extent = param.type.shape[order[d]];
    std::string index = print(indices[order[d]], product);
    address = fmt::format("{} * {}{} + {}", d == 1 ? address : "(" + address + ")", extent,
                          d == 1 && wide ? "L" : "", index);
  }
  return address;
}

std::string ExpressionPrinter::place(const std::string& buffer,
                                     const std::vector<Expr>& indices) const {
  auto it = params_.find(buffer);
  return it == params_.end() ? print(indices[0]) : address(*it->second, indices);
}

std::string ExpressionPrinter::element(const std::string& buffer,
                                       const std::vector<Expr>& indices) const {
  return fmt::format("{}[{}]", buffer, place(buffer, indices));
}

} // namespace netc
