#pragma once
// What generated CPU kernels are made of besides loops: shares of work, functions, reductions.

#include "ir/kernel_abi.h"
#include "ir/support/philox.h"

namespace netc {

/// First of the `items` that belong to a thread; its share ends where the next thread's begins.
inline long first_item(long items, int index, int count) {
  return items * index / count;
}

inline float sqrt(float x) {
  return __builtin_sqrtf(x);
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
inline float min(float a, float b) {
  return b < a ? b : a;
}
inline float max(float a, float b) {
  return a < b ? b : a;
}
inline int min(int a, int b) {
  return b < a ? b : a;
}
inline int max(int a, int b) {
  return a < b ? b : a;
}
/// Both values are computed: a load under a condition is what g++ 12 vectorises wrongly.
inline float select(bool condition, float yes, float no) {
  return condition ? yes : no;
}
inline int select(bool condition, int yes, int no) {
  return condition ? yes : no;
}
inline int shift_right(int x, int by) {
  return static_cast<int>(static_cast<unsigned>(x) >> by);
}

/// Word `lane` of Philox under a key and a counter, see ir/support/philox.h.
inline int philox(int key0, int key1, int counter0, int counter1, int lane) {
  const Philox4 words =
      philox4x32_10(static_cast<unsigned>(key0), static_cast<unsigned>(key1),
                    static_cast<unsigned>(counter0), static_cast<unsigned>(counter1), 0, 0);
  return static_cast<int>(words.word[lane]);
}
inline float uniform(int word) {
  return uniform_unit(static_cast<unsigned>(word));
}

struct Add {
  static constexpr float identity = 0;
  static float combine(float a, float b) { return a + b; }
};
struct Max {
  static constexpr float identity = -3.402823466e38f;
  static float combine(float a, float b) { return max(a, b); }
};

/// Folds element(lo) .. element(hi - 1). With `exact_blocks` (1, 2, 4 or 8): in order within each
/// of as many equal blocks, the blocks combined as a balanced tree. With 0, fast mode: in order.
template <class Op, int exact_blocks, class Element> float reduce(int lo, int hi, Element element) {
  constexpr int blocks = exact_blocks > 0 ? exact_blocks : 1;
  float sums[blocks];
  for (int b = 0; b < blocks; ++b) {
    const int begin = lo + static_cast<int>(static_cast<long>(hi - lo) * b / blocks);
    const int end = lo + static_cast<int>(static_cast<long>(hi - lo) * (b + 1) / blocks);
    float sum = Op::identity;
    for (int i = begin; i < end; ++i)
      sum = Op::combine(sum, element(i));
    sums[b] = sum;
  }
  for (int width = 1; width < blocks; width *= 2)
    for (int b = 0; b < blocks; b += 2 * width)
      sums[b] = Op::combine(sums[b], sums[b + width]);
  return sums[0];
}

/// The same where lanes may work together: fast mode keeps 16 partial results, a vector.
template <class Op, int exact_blocks, class Element>
float reduce_lanes(int lo, int hi, Element element) {
  if constexpr (exact_blocks > 0) {
    return reduce<Op, exact_blocks>(lo, hi, element);
  } else {
    constexpr int lanes = 16;
    float sums[lanes];
    for (int l = 0; l < lanes; ++l)
      sums[l] = Op::identity;
    int i = lo;
    for (; i + lanes <= hi; i += lanes)
      for (int l = 0; l < lanes; ++l)
        sums[l] = Op::combine(sums[l], element(i + l));
    for (int l = 0; i < hi; ++i, ++l)
      sums[l] = Op::combine(sums[l], element(i));
    for (int width = lanes / 2; width > 0; width /= 2)
      for (int l = 0; l < width; ++l)
        sums[l] = Op::combine(sums[l], sums[l + width]);
    return sums[0];
  }
}

} // namespace netc
