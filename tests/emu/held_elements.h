#pragma once
// Numbers as a kernel's memory holds them, and back.

#include "tests/codegen/contraction_testing.h"
#include "tests/support/rounding.h"

#include <bit>
#include <cstring>

namespace netc {

/// Elements of a buffer as memory holds them, 2 bytes each of bf16.
inline std::vector<std::byte> held(const Floats& values, DType as) {
  std::vector<std::byte> bytes;
  for (float value : values) {
    const uint32_t bits = test::rounded_bits(value, as) >> (as == DType::bf16 ? 16 : 0);
    const auto* first = reinterpret_cast<const std::byte*>(&bits);
    bytes.insert(bytes.end(), first, first + byte_size(as));
  }
  return bytes;
}

/// The same back.
inline Floats read_held(const std::vector<std::byte>& bytes, DType as) {
  Floats values;
  for (size_t i = 0; i < bytes.size(); i += static_cast<size_t>(byte_size(as))) {
    uint32_t bits = 0;
    std::memcpy(&bits, &bytes[i], static_cast<size_t>(byte_size(as)));
    values.push_back(std::bit_cast<float>(as == DType::bf16 ? bits << 16 : bits));
  }
  return values;
}

} // namespace netc
