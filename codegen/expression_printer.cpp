#include "codegen/expression_printer.h"

#include "ir/support/error.h"

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
  case DType::bf16:
    break;
  }
  internal_error(__FILE__, __LINE__, "kernels do not compute in bf16");
}

namespace {

std::string real_literal(double value) {
  std::string text = fmt::format("{}", static_cast<float>(value));
  if (text.find_first_of(".en") == text.npos)
    text += ".0";
  return text + "f";
}

} // namespace

ExpressionPrinter::ExpressionPrinter(const std::vector<Param>& params) {
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
    return element(e->name, e->args);
  case ExprKind::unary:
    return fmt::format("({}{})", e->name, print(e->args[0]));
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

std::string ExpressionPrinter::binary(const kernel::ExprNode& e) const {
  const char* format = e.name == "min" || e.name == "max" ? "netc::{1}({0}, {2})" : "({} {} {})";
  return fmt::format(fmt::runtime(format), print(e.args[0]), e.name, print(e.args[1]));
}

std::string ExpressionPrinter::call(const kernel::ExprNode& e) const {
  if (e.name == "and" || e.name == "xor")
    return fmt::format("({} {} {})", print(e.args[0]), e.name == "and" ? "&" : "^",
                       print(e.args[1]));
  std::string args;
  for (const Expr& arg : e.args)
    args += (args.empty() ? "" : ", ") + print(arg);
  return fmt::format("netc::{}({})", e.name == "shr" ? "shift_right" : e.name, args);
}

/// Logical indices to an address: Horner's scheme over the dimensions in the order of the layout.
/// Long from the first product on, for tensors of more than 2^31 elements.
std::string ExpressionPrinter::element(const std::string& buffer,
                                       const std::vector<Expr>& indices) const {
  auto it = params_.find(buffer);
  if (it == params_.end() || indices.size() == 1)
    return fmt::format("{}[{}]", buffer, print(indices[0]));
  const Param& param = *it->second;
  std::vector<size_t> order = param.layout == Layout::nhwc ? std::vector<size_t>{0, 2, 3, 1}
                                                           : std::vector<size_t>{0, 1, 2, 3};
  order.resize(indices.size());
  std::string address = print(indices[order[0]]);
  for (size_t d = 1; d < indices.size(); ++d) {
    int64_t extent = param.type.shape[order[d]];
    std::string index = print(indices[order[d]]);
    address = fmt::format("{} * {}{} + {}", d == 1 ? address : "(" + address + ")", extent,
                          d == 1 ? "L" : "", index);
  }
  return fmt::format("{}[{}]", buffer, address);
}

} // namespace netc
