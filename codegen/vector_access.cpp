#include "codegen/vector_access.h"

#include "ir/support/error.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace netc {

using kernel::Expr;
using kernel::ExprKind;
using kernel::Param;
using kernel::Stmt;
using kernel::StmtKind;

namespace {

/// Takes the numbers out of a sum; what is left, null for nothing.
Expr without_numbers(const Expr& e, int64_t& numbers) {
  if (std::optional<int64_t> number = kernel::constant(e)) {
    numbers += *number;
    return {};
  }
  if (e->kind != ExprKind::binary || e->name != "+")
    return e;
  const Expr left = without_numbers(e->args[0], numbers);
  const Expr right = without_numbers(e->args[1], numbers);
  return !left ? right : !right ? left : left + right;
}

} // namespace

/// What a statement moves between memory and variables or values; no buffer: nothing.
struct VectorAccess::Access {
  StmtKind kind = StmtKind::block;
  std::string buffer;
  DType type = DType::f32;
  std::vector<Expr> rest; ///< Indices but for the innermost dimension,
  Expr base;              ///< where the index is `base` (0 where there is none) and
  int64_t offset = 0;     ///< this.
  int64_t extent = 0;     ///< Of that dimension; 0 where it is all.
};

VectorAccess::VectorAccess(const std::vector<Param>& params) {
  for (const Param& param : params)
    params_[param.name] = &param;
}

void VectorAccess::note(const kernel::StmtNode& s) {
  if (s.kind == StmtKind::let && s.type == DType::i32)
    variables_[s.name] = s.a;
  else
    variables_.erase(s.name); // another's loop may be of that name
}

VectorAccess::Access VectorAccess::access(const kernel::StmtNode& s) const {
  const bool load = s.kind == StmtKind::let && s.a->kind == ExprKind::load;
  if (!load && s.kind != StmtKind::store)
    return {};
  Access access{s.kind, load ? s.a->name : s.name, s.type, load ? s.a->args : s.indices, Expr(0)};
  size_t inner = access.rest.size() - 1;
  if (auto param = params_.find(access.buffer); param != params_.end() && inner > 0) {
    inner = param->second->layout == Layout::nhwc ? 1 : inner;
    access.extent = param->second->type.shape[inner];
  }
  if (Expr base = without_numbers(access.rest[inner], access.offset))
    access.base = base;
  access.rest.erase(access.rest.begin() + static_cast<std::ptrdiff_t>(inner));
  return access;
}

bool VectorAccess::is_multiple(const Expr& e, int64_t of) const {
  if (std::optional<int64_t> number = kernel::constant(e))
    return *number % of == 0;
  if (e->kind == ExprKind::var) {
    auto known = variables_.find(e->name);
    return known != variables_.end() && is_multiple(known->second, of);
  }
  if (e->kind != ExprKind::binary)
    return false;
  const bool left = is_multiple(e->args[0], of), right = is_multiple(e->args[1], of);
  if (e->name == "*")
    return left || right;
  return left && right &&
         (e->name == "+" || e->name == "-" || e->name == "min" || e->name == "max");
}

size_t VectorAccess::length(const std::vector<Stmt>& list, size_t begin) const {
  const Access first = access(*list[begin]);
  if (first.buffer.empty())
    return 1;
  auto follows = [&](size_t i) {
    const Access next = access(*list[begin + i]);
    return next.kind == first.kind && next.buffer == first.buffer && next.type == first.type &&
           next.offset == first.offset + static_cast<int64_t>(i) &&
           kernel::same(next.base, first.base) &&
           std::equal(first.rest.begin(), first.rest.end(), next.rest.begin(), next.rest.end(),
                      kernel::same);
  };
  for (size_t length : {4, 2}) {
    const int64_t elements = static_cast<int64_t>(length);
    size_t found = 1;
    while (found < length && begin + found < list.size() && follows(found))
      ++found;
    const bool type = first.type == DType::f32 || (first.type == DType::u8 && length == 4);
    if (found == length && type && first.extent % elements == 0 && first.offset % elements == 0 &&
        is_multiple(first.base, elements))
      return length;
  }
  return 1;
}

std::string VectorAccess::print(const std::vector<Stmt>& list, size_t begin, size_t length,
                                const ExpressionPrinter& expressions) const {
  const kernel::StmtNode& first = *list[begin];
  if (first.kind == StmtKind::store) {
    std::vector<std::string> values;
    for (size_t i = 0; i < length; ++i)
      values.push_back(expressions.print(list[begin + i]->a));
    return fmt::format("netc::store{}({}, {}, {{{}}});", length, first.name,
                       expressions.place(first.name, first.indices), fmt::join(values, ", "));
  }
  const std::string vector = first.name + "_v";
  std::string text = fmt::format(
      "const netc::{}{} {} = netc::load{}({}, {});", first.type == DType::u8 ? "Bytes" : "Float",
      length, vector, length, first.a->name, expressions.place(first.a->name, first.a->args));
  for (size_t i = 0; i < length; ++i)
    text += fmt::format("\nconst {} {} = {}.{};", type_name(first.type), list[begin + i]->name,
                        vector, "xyzw"[i]);
  return text;
}

} // namespace netc
