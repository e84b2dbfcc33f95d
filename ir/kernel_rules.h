#pragma once
// The typing rules and the words of Kernel IR, shared by its constructors, parser and verifier.

#include "ir/kernel.h"

#include <optional>
#include <string_view>

namespace netc::kernel {

/// Type of `a op b`, or nothing when `op` is unknown or does not apply to these types. Operands are
/// of one type; `%`, `&&` and `||` apply to i32 only, u8 can be compared only.
std::optional<DType> binary_type(std::string_view op, DType a, DType b);

/// Type of `op a`: `-` of f32 and i32, `!` of i32; nothing otherwise.
std::optional<DType> unary_type(std::string_view op, DType a);

/// Type of the arguments of a function and of its value.
struct FunctionType {
  size_t arguments;
  DType argument;
  DType result;
};
/// The type of a function, or nothing when it is unknown. Besides those that call() lists: `and`,
/// `xor` and `shr` (zeros come in from the left) of two i32 words.
std::optional<FunctionType> function_type(std::string_view name);

/// Whether a device may hold that many of the exact blocks of a reduction.
constexpr bool is_exact_blocks(int64_t blocks) {
  return blocks == 1 || blocks == 2 || blocks == 4 || blocks == exact_blocks;
}

/// Words of the text form.
std::string_view to_string(Access access);
std::string_view to_string(StmtKind kind);

/// Type of a value loaded from a buffer of `dtype`.
constexpr DType loaded_type(DType dtype) {
  return is_rounded(dtype) ? DType::f32 : dtype;
}

} // namespace netc::kernel
