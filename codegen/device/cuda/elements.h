#pragma once
// Elements that memory holds rounded (DType::tf32 and DType::bf16): they are computed with as
// floats and rounded when they are written.

#include "codegen/device/cuda/primitives.h"

namespace netc {

/// A float of 10 bits of mantissa, the nearest one. A NaN stays one.
struct Tf32 {
  float value;
  Tf32() = default;
  Tf32(float from) : value(as_float(tf32_operand(from) & 0xffffe000u)) {}
  operator float() const { return value; }
};

/// The upper half of a float.
struct Bf16 {
  unsigned short bits;
  Bf16() = default;
  Bf16(float from) : bits(static_cast<unsigned short>(pack_bf16(from, 0))) {}
  operator float() const { return as_float(static_cast<unsigned>(bits) << 16); }
};

inline Tf32 load_once(Global<const Tf32> from, long i) {
  Tf32 element;
  element.value = load_once(as_elements<const float>(from), i);
  return element;
}
inline Bf16 load_once(Global<const Bf16> from, long i) {
  Bf16 element;
  element.bits = load_once(as_elements<const unsigned short>(from), i);
  return element;
}

/// Vectors, as of floats: aligned to their size.
inline Float2 load2(Global<const Tf32> from, long i) {
  return load2(as_elements<const float>(from), i);
}
inline Float4 load4(Global<const Tf32> from, long i) {
  return load4(as_elements<const float>(from), i);
}
inline void store2(Global<Tf32> to, long i, Float2 v) {
  store2(as_elements<float>(to), i, {Tf32(v.x), Tf32(v.y)});
}
inline void store4(Global<Tf32> to, long i, Float4 v) {
  store4(as_elements<float>(to), i, {Tf32(v.x), Tf32(v.y), Tf32(v.z), Tf32(v.w)});
}

inline float lower_bf16(float pair) {
  return as_float(as_bits(pair) << 16);
}
inline float upper_bf16(float pair) {
  return as_float(as_bits(pair) & 0xffff0000u);
}
inline Float2 load2(Global<const Bf16> from, long i) {
  const float pair = as_elements<const float>(from)[i / 2];
  return {lower_bf16(pair), upper_bf16(pair)};
}
inline Float4 load4(Global<const Bf16> from, long i) {
  const Float2 pairs = load2(as_elements<const float>(from), i / 2);
  return {lower_bf16(pairs.x), upper_bf16(pairs.x), lower_bf16(pairs.y), upper_bf16(pairs.y)};
}
inline void store2(Global<Bf16> to, long i, Float2 v) {
  as_elements<float>(to)[i / 2] = as_float(pack_bf16(v.x, v.y));
}
inline void store4(Global<Bf16> to, long i, Float4 v) {
  store2(as_elements<float>(to), i / 2,
         {as_float(pack_bf16(v.x, v.y)), as_float(pack_bf16(v.z, v.w))});
}

} // namespace netc
