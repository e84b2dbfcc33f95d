#pragma once
// Functions of float for CUDA text on the host; single precision throughout, as on the device.

namespace netc {

inline float sqrt(float x) {
  return __builtin_sqrtf(x);
}
inline float fast_divide(float x, float y) {
  return x / y;
}
inline float fast_sqrt(float x) {
  return __builtin_sqrtf(x);
}
inline float fast_inverse_root(float x) {
  return 1 / __builtin_sqrtf(x);
}
inline float fast_inverse_fourth_root(float x) {
  return __builtin_sqrtf(fast_inverse_root(x));
}
inline float exp(float x) {
  return __builtin_expf(x);
}
inline float log(float x) {
  return __builtin_logf(x);
}
inline float tanh(float x) {
  return __builtin_tanhf(x);
}
inline float abs(float x) {
  return __builtin_fabsf(x);
}
inline float floor(float x) {
  return __builtin_floorf(x);
}
inline float pow(float x, float y) {
  return __builtin_powf(x, y);
}

namespace emu {

inline unsigned bits_of(float x) {
  unsigned bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline float float_of(unsigned bits) {
  float x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}

/// The upper half of a float, rounded to nearest even; NaN stays NaN.
inline unsigned bf16_bits(float x) {
  const unsigned bits = bits_of(x);
  if (x != x)
    return 0x7fff;
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

} // namespace emu

/// cvt.rna.tf32.f32: rounds to 10 bits of mantissa, ties away from zero; the rest is zero.
inline unsigned to_tf32(float x) {
  const unsigned bits = emu::bits_of(x);
  if ((bits & 0x7f800000) == 0x7f800000)
    return x != x ? 0x7fffffff : bits;
  return (bits + 0x1000) & ~0x1fffu;
}

/// The same in its upper 19 bits; below them is what the hardware leaves.
inline unsigned tf32_operand(float x) {
  return x == x ? emu::bits_of(x) + 0x1000 : 0x7fffffff;
}

/// cvt.rn.bf16x2.f32: two rounded values in a word.
inline unsigned pack_bf16(float low, float high) {
  return emu::bf16_bits(high) << 16 | emu::bf16_bits(low);
}

} // namespace netc
