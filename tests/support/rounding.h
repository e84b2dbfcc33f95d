#pragma once
// Numbers as memory holds them rounded.

#include "ir/dtype.h"

#include <bit>

namespace netc::test {

/// The bits of the nearest float that memory can hold; ties of TF32 go away from zero, of bf16 to
/// even. bf16 is the upper half.
inline uint32_t rounded_bits(float value, DType as) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (as == DType::tf32)
    return (bits + 0x1000) & ~0x1fffu;
  if (as == DType::bf16)
    return (bits + 0x7fff + (bits >> 16 & 1)) & ~0xffffu;
  return bits;
}

} // namespace netc::test
