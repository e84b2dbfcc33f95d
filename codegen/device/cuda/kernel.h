#pragma once
// What generated CUDA kernels are made of besides loops and primitives. Any grid, and any block of
// a multiple of 32 threads up to 1024, gives the right result; blocks of `usual_lanes` are what the
// templates are laid out for.

#include "codegen/device/cuda/elements.h"
#include "ir/support/philox.h"

namespace netc {

constexpr int usual_lanes = 256;

/// Indices of tensors of fewer than 2^31 elements are int: long multiplications are slow.
template <bool large> struct IndexOf { using Type = int; };
template <> struct IndexOf<true> { using Type = long; };

/// Types, compared and chosen.
template <class A, class B> constexpr bool is_same = false;
template <class A> constexpr bool is_same<A, A> = true;
template <bool first, class A, class B> struct Choose { using Type = A; };
template <class A, class B> struct Choose<false, A, B> { using Type = B; };

/// Calls use(i) for first <= i < end, each a type of its own with the number as its `value`.
template <int i> struct Number { static constexpr int value = i; };
template <int first, int end, class Use> void unrolled(Use use) {
  if constexpr (first < end) {
    use(Number<first>{});
    unrolled<first + 1, end>(use);
  }
}

/// The first item of this block in a loop behind loops of `before` items in all: the blocks go
/// round from loop to loop.
inline long block_behind(int before) {
  const int of = static_cast<int>(blocks()), at = static_cast<int>(block()) - before % of;
  return at < 0 ? at + of : at;
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
  // Not word[lane]: an array with a variable index is not kept in registers.
  const unsigned low = lane == 0 ? words.word[0] : words.word[1];
  const unsigned high = lane == 2 ? words.word[2] : words.word[3];
  return static_cast<int>(lane < 2 ? low : high);
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

/// Folds element(lo) .. element(hi - 1) in one thread. With `exact_blocks` (1, 2, 4 or 8): in order
/// within each of as many equal blocks, the blocks combined as a balanced tree. With 0, fast mode:
/// in order.
template <class Op, int exact_blocks, class Element> float reduce(int lo, int hi, Element element) {
  constexpr int parts = exact_blocks > 0 ? exact_blocks : 1;
  float sums[parts];
  for (int b = 0; b < parts; ++b) {
    const int begin = lo + static_cast<int>(static_cast<long>(hi - lo) * b / parts);
    const int end = lo + static_cast<int>(static_cast<long>(hi - lo) * (b + 1) / parts);
    float sum = Op::identity;
    for (int i = begin; i < end; ++i)
      sum = Op::combine(sum, element(i));
    sums[b] = sum;
  }
  for (int width = 1; width < parts; width *= 2)
    for (int b = 0; b < parts; b += 2 * width)
      sums[b] = Op::combine(sums[b], sums[b + width]);
  return sums[0];
}

/// The values of a warp's threads as a tree; all of them get the result.
template <class Op> float combine_warp(float value) {
  for (int mask = 16; mask > 0; mask /= 2)
    value = Op::combine(value, shuffle_xor(value, mask));
  return value;
}

/// The same by the threads of a warp together, which all get the result. Fast mode: each folds
/// every 32nd element, then all of them as a tree. Ends with a barrier of the warp: the elements
/// may be overwritten at once.
template <class Op, int exact_blocks, class Element>
float reduce_warp(int lo, int hi, Element element) {
  float sum = Op::identity;
  if constexpr (exact_blocks > 0) {
    sum = reduce<Op, exact_blocks>(lo, hi, element);
  } else {
    for (int i = lo + warp_lane(); i < hi; i += 32)
      sum = Op::combine(sum, element(i));
    sum = combine_warp<Op>(sum);
  }
  warp_barrier();
  return sum;
}

/// The same by all threads of the block together, which all get the result. Fast mode: each thread
/// folds every lanes()-th element, the threads of a warp as a tree, then the warps in order. `sums`
/// has 32 elements. Ends with a barrier: the elements may be overwritten at once.
template <class Op, int exact_blocks, class Element>
float reduce_lanes(Shared<float> sums, int lo, int hi, Element element) {
  float sum = Op::identity;
  if constexpr (exact_blocks > 0) {
    sum = reduce<Op, exact_blocks>(lo, hi, element);
  } else {
    for (int i = lo + lane(); i < hi; i += lanes())
      sum = Op::combine(sum, element(i));
    sum = combine_warp<Op>(sum);
    if (warp_lane() == 0)
      sums[warp()] = sum;
    barrier();
    sum = Op::identity;
    for (int w = 0; w < warps(); ++w)
      sum = Op::combine(sum, sums[w]);
  }
  barrier();
  return sum;
}

} // namespace netc
