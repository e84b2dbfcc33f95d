#include "ir/kernel_rules.h"

#include <algorithm>
#include <initializer_list>

namespace netc::kernel {

namespace {

constexpr DType f32 = DType::f32, i32 = DType::i32;

bool one_of(std::string_view op, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), op) != list.end();
}

} // namespace

std::optional<DType> binary_type(std::string_view op, DType a, DType b) {
  if (a != b || is_rounded(a))
    return std::nullopt;
  if (one_of(op, {"<", "<=", ">", ">=", "==", "!="}))
    return i32;
  if (a == i32 && one_of(op, {"%", "&&", "||"}))
    return i32;
  if (a != DType::u8 && one_of(op, {"+", "-", "*", "/", "min", "max"}))
    return a;
  return std::nullopt;
}

std::optional<DType> unary_type(std::string_view op, DType a) {
  if ((op == "-" && (a == f32 || a == i32)) || (op == "!" && a == i32))
    return a;
  return std::nullopt;
}

std::optional<FunctionType> function_type(std::string_view name) {
  if (one_of(name, {"sqrt", "exp", "log", "tanh", "abs", "floor"}))
    return FunctionType{1, f32, f32};
  if (name == "pow")
    return FunctionType{2, f32, f32};
  if (name == "philox")
    return FunctionType{5, i32, i32};
  if (one_of(name, {"and", "xor", "shr"}))
    return FunctionType{2, i32, i32};
  if (name == "uniform")
    return FunctionType{1, i32, f32};
  return std::nullopt;
}

std::string_view to_string(Access access) {
  switch (access) {
  case Access::in:
    return "in";
  case Access::out:
    return "out";
  case Access::inout:
    return "inout";
  case Access::workspace:
    return "workspace";
  }
  return "?";
}

std::string_view to_string(StmtKind kind) {
  static constexpr std::string_view names[] = {"block", "parallel", "serial",       "spread",
                                               "lanes", "let",      "if",           "store",
                                               "alloc", "reduce",   "reduce_lanes", "barrier"};
  return names[static_cast<size_t>(kind)];
}

} // namespace netc::kernel
