#pragma once
// What generated CUDA kernels are made of besides loops. Generated text reaches blocks, threads,
// shared memory and barriers through these names only, so that a checking host shim can stand in
// for them. Compiled by NVRTC with -default-device; includes nothing of the toolkit.
//
// Any grid and any block of up to 1024 threads gives the right result; blocks of `usual_lanes` are
// what the templates are laid out for.

#include "ir/support/philox.h"

namespace netc {

constexpr int usual_lanes = 256;

/// This block of the grid, and their number.
inline long block() {
  return blockIdx.x;
}
inline long blocks() {
  return gridDim.x;
}
/// This thread of the block, and their number.
inline int lane() {
  return static_cast<int>(threadIdx.x);
}
inline int lanes() {
  return static_cast<int>(blockDim.x);
}
/// All threads of the block have arrived; what each wrote to shared memory is visible to all.
inline void barrier() {
  __syncthreads();
}

/// The array at `offset` bytes of the block's dynamic shared memory.
template <class T> T* shared_array(int offset) {
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  return reinterpret_cast<T*>(shared_bytes + offset);
}

/// The block's one object of type T in static shared memory; not initialised.
template <class T> T& shared_object() {
  static __shared__ __align__(16) T object;
  return object;
}

inline float sqrt(float x) {
  return ::sqrtf(x);
}
inline float exp(float x) {
  return ::expf(x);
}
inline float log(float x) {
  return ::logf(x);
}
inline float tanh(float x) {
  return ::tanhf(x);
}
inline float abs(float x) {
  return ::fabsf(x);
}
inline float floor(float x) {
  return ::floorf(x);
}
inline float pow(float x, float y) {
  return ::powf(x, y);
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

/// Folds element(lo) .. element(hi - 1) in one thread. Exact: in order within each of 8 equal
/// blocks, the blocks combined as a balanced tree. Otherwise in order.
template <class Op, bool exact, class Element> float reduce(int lo, int hi, Element element) {
  constexpr int parts = exact ? 8 : 1;
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

/// One result of each thread of a block, for reduce_lanes.
struct LaneSums {
  float of_lane[1024];
};

/// The same by all threads of the block together, which all get the result. Fast mode: each thread
/// folds every lanes()-th element, then the threads' results are folded in order. Ends with a
/// barrier: the elements may be overwritten at once.
template <class Op, bool exact, class Element> float reduce_lanes(int lo, int hi, Element element) {
  float sum;
  if constexpr (exact) {
    sum = reduce<Op, true>(lo, hi, element);
  } else {
    LaneSums& sums = shared_object<LaneSums>();
    sum = Op::identity;
    for (int i = lo + lane(); i < hi; i += lanes())
      sum = Op::combine(sum, element(i));
    sums.of_lane[lane()] = sum;
    barrier();
    sum = Op::identity;
    for (int i = 0; i < lanes(); ++i)
      sum = Op::combine(sum, sums.of_lane[i]);
  }
  barrier();
  return sum;
}

} // namespace netc
