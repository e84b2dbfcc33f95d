#pragma once
// Vectors of floats, as GCC and clang know them, and small helpers. No includes: compile speed.

namespace netc {

#if defined(__AVX512F__)
constexpr int vector_length = 16;
#elif defined(__AVX__)
constexpr int vector_length = 8;
#else
constexpr int vector_length = 4;
#endif

typedef float Vector __attribute__((vector_size(vector_length * sizeof(float))));
typedef float UnalignedVector
    __attribute__((vector_size(vector_length * sizeof(float)), aligned(4)));

inline Vector load(const float* p) {
  return *reinterpret_cast<const UnalignedVector*>(p);
}
inline void store(float* p, Vector v) {
  *reinterpret_cast<UnalignedVector*>(p) = v;
}

/// sum + a b. Rounded once where machines can, in so many words: kernels of exact plans are
/// compiled without such rounding, as compilers would decide otherwise for other shapes.
inline Vector multiply_add(Vector a, Vector b, Vector sum) {
#if __has_builtin(__builtin_elementwise_fma) && defined(__FMA__)
  return __builtin_elementwise_fma(a, b, sum); // newer clangs, which lack the others
#elif defined(__AVX512F__)
  return __builtin_ia32_vfmaddps512_mask(a, b, sum, -1, 4); // rounds as the thread does
#elif defined(__FMA__)
  return __builtin_ia32_vfmaddps256(a, b, sum);
#else
  return sum + a * b;
#endif
}

/// A number as a type, for `unroll` and `with_rows`.
template <int n> struct Constant { static constexpr int value = n; };

/// Calls f(Constant<0>) .. f(Constant<n - 1>): a loop that cannot stay one, so that arrays
/// indexed by it live in registers.
template <int n, int i = 0, class F> [[gnu::always_inline]] inline void unroll(const F& f) {
  if constexpr (i < n) {
    f(Constant<i>{});
    unroll<n, i + 1>(f);
  }
}

/// Calls f(Constant<rows>) for the run-time `rows` in least .. most; each is compiled.
template <int most, int least = 1, class F>
[[gnu::always_inline]] inline void with_rows(int rows, const F& f) {
  if constexpr (most > least) {
    if (rows == most)
      f(Constant<most>{});
    else
      with_rows<most - 1, least>(rows, f);
  } else {
    f(Constant<most>{});
  }
}

inline void copy_floats(float* to, const float* from, long count) {
  __builtin_memcpy(to, from, count * sizeof(float));
}
inline void zero_floats(float* to, long count) {
  __builtin_memset(to, 0, count * sizeof(float));
}

} // namespace netc
