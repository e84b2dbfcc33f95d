#pragma once
// Micro-kernels: tiles of sums in registers.

#include "codegen/device/cpu/vector.h"

namespace netc {

/// An epilogue that does nothing. Any other has the same call: it updates in place the `count`
/// channels from `channel` on of one output pixel, at `row`.
struct NoEpilogue {
  void operator()(float* /*row*/, long /*pixel*/, int /*channel*/, int /*count*/) const {}
};

/// Consecutive floats [begin, end) after a row's address.
struct Run {
  int begin, end;
};

/// `rows` sums of `vectors` vectors.
template <int rows, int vectors> struct Tile {
  static constexpr int width = vectors * vector_length;
  Vector sum[rows][vectors];

  [[gnu::always_inline]] void clear() {
    unroll<rows>([&](auto r) __attribute__((always_inline)) {
      unroll<vectors>([&](auto v)
                          __attribute__((always_inline)) { sum[r.value][v.value] = Vector{}; });
    });
  }

  /// sum[r] += a * b[0 .. width), where `a` gives the scalar of a row.
  template <class A> [[gnu::always_inline]] void multiply_add(const A& a, const float* b) {
    Vector w[vectors];
    unroll<vectors>([&](auto v) __attribute__((always_inline)) {
      w[v.value] = load(b + v.value * vector_length);
    });
    unroll<rows>([&](auto r) __attribute__((always_inline)) {
      const Vector s = a(r.value) - Vector{};
      unroll<vectors>([&](auto v) __attribute__((always_inline)) {
        sum[r.value][v.value] = netc::multiply_add(s, w[v.value], sum[r.value][v.value]);
      });
    });
  }

  /// sum[r] += the products of the floats of `runs` after a[r] with the rows of `b`, in order.
  [[gnu::always_inline]] void inner(const float* const (&a)[rows], const Run* run, const Run* end,
                                    const float* b) {
    for (; run != end; ++run)
      for (long k = run->begin; k < run->end; ++k, b += width)
        multiply_add(
            [&](int r) __attribute__((always_inline)) { return a[r][k]; }, b);
  }

  /// sum[r] += a[i * outer_step + j * inner_step + r] * b[i * inner_count + j], over i then j.
  [[gnu::always_inline]] void outer(const float* a, int outer_count, long outer_step,
                                    int inner_count, long inner_step, const float* b) {
    for (int i = 0; i < outer_count; ++i, a += outer_step) {
      const float* p = a;
      for (int j = 0; j < inner_count; ++j, p += inner_step, b += width)
        multiply_add(
            [&](int r) __attribute__((always_inline)) { return p[r]; }, b);
    }
  }

  /// The first `count` floats of row r from / to row(r).
  template <class Row> [[gnu::always_inline]] void load_rows(const Row& row, int count) {
    unroll<rows>([&](auto r) __attribute__((always_inline)) {
      const float* from = row(r.value);
      alignas(64) float part[width] = {};
      if (count < width) {
        copy_floats(part, from, count);
        from = part;
      }
      unroll<vectors>([&](auto v) __attribute__((always_inline)) {
        sum[r.value][v.value] = load(from + v.value * vector_length);
      });
    });
  }
  template <class Row> [[gnu::always_inline]] void store_rows(const Row& row, int count) const {
    unroll<rows>([&](auto r) __attribute__((always_inline)) {
      alignas(64) float part[width];
      float* to = count < width ? part : row(r.value);
      unroll<vectors>([&](auto v) __attribute__((always_inline)) {
        store(to + v.value * vector_length, sum[r.value][v.value]);
      });
      if (count < width)
        copy_floats(row(r.value), part, count);
    });
  }

  Tile operator+(const Tile& other) const {
    Tile t;
    for (int r = 0; r < rows; ++r)
      for (int v = 0; v < vectors; ++v)
        t.sum[r][v] = sum[r][v] + other.sum[r][v];
    return t;
  }
};

/// Balanced binary tree over leaf(0) .. leaf(count - 1), `count` a power of two up to 8.
template <class T, class Leaf> inline T tree_sum(int count, const Leaf& leaf) {
  T left[3];
  int depth = 0;
  for (int i = 0;; ++i) {
    T sum = leaf(i);
    for (int bits = i; bits & 1; bits >>= 1)
      sum = left[--depth] + sum;
    if (i + 1 == count)
      return sum;
    left[depth++] = sum;
  }
}

} // namespace netc
