#pragma once
// Inputs of tests: numbers drawn from a fixed seed, all of them exact in f32.

#include "ir/op.h"

#include <functional>
#include <random>

namespace netc::test {

using Random = std::mt19937_64;
/// Gives the elements of a tensor of `count`.
using Draw = std::function<std::vector<double>(size_t count, Random& random)>;

/// Uniform in [lo, hi).
Draw uniform(double lo, double hi);
/// Uniform in [-1, 1) without (-margin, margin): away from the kink of a ReLU.
Draw away_from_zero(double margin = 0.05);
/// A random order of equally spaced numbers in [-1, 1): no two are close, so that a maximum is
/// one even after rounding.
Draw distinct();
/// Uniform integers in lo .. hi.
Draw integers(int64_t lo, int64_t hi);
/// These very numbers.
Draw values(std::vector<double> list);

/// Ascending bounds of so many parts, from 0 to `extent`; parts may be empty.
std::vector<int64_t> random_bounds(int64_t extent, int parts, Random& random);

RefTensor draw(const TensorType& type, const Draw& how, Random& random);

} // namespace netc::test
