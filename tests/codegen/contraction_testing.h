#pragma once
// What the tests of the contraction templates share: teams of threads, guarded memory, an epilogue
// that shows wrong calls, comparison with a reference.

#include "codegen/device/cpu/contraction_shape.h"
#include "ir/kernel_abi.h"

#include <gtest/gtest.h>

#include <barrier>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <random>
#include <thread>
#include <vector>

namespace netc {

using Floats = std::vector<float>;

inline Floats random_floats(size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> value(-1, 1);
  Floats f(count);
  for (float& v : f)
    v = value(generator);
  return f;
}

inline double relative_error(const Floats& got, const std::vector<double>& want) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    difference += (got[i] - want[i]) * (got[i] - want[i]);
    norm += want[i] * want[i];
  }
  return norm == 0 ? std::sqrt(difference) : std::sqrt(difference / norm);
}

/// Runs `body` on a team of threads.
inline void run_team(int threads, const std::function<void(const Thread&)>& body) {
  std::barrier<> barrier(threads);
  const auto wait = [](const Thread& t) {
    static_cast<std::barrier<>*>(t.team)->arrive_and_wait();
  };
  std::vector<std::jthread> team;
  for (int i = 0; i < threads; ++i)
    team.emplace_back([&, i] { body(Thread{i, threads, &barrier, wait}); });
}

/// Aligned memory between guard bands. Filled with NaN: whoever reads before writing shows.
class Guarded {
public:
  explicit Guarded(long bytes)
      : count_(bytes / 4), memory_(new (std::align_val_t{64}) float[count_ + 2 * guard]) {
    for (long i = 0; i < count_ + 2 * guard; ++i)
      memory_.get()[i] = inside(i) ? NAN : canary(i);
  }
  ~Guarded() {
    for (long i = 0; i < count_ + 2 * guard; ++i)
      if (!inside(i) && memory_.get()[i] != canary(i)) {
        ADD_FAILURE() << "wrote at " << i - guard << " of " << count_ << " floats";
        return;
      }
  }
  float* data() { return memory_.get() + guard; }
  Floats copy() { return Floats(data(), data() + count_); }

private:
  static constexpr long guard = 128;
  static float canary(long i) { return 1000.0f + float(i % 97); }
  bool inside(long i) const { return i >= guard && i < guard + count_; }
  struct Free {
    void operator()(float* p) const { ::operator delete[](p, std::align_val_t{64}); }
  };
  long count_;
  std::unique_ptr<float, Free> memory_;
};

/// Multiplies by the element's channel and pixel and counts the calls, so that a wrong, missing
/// or repeated call shows.
struct Marking {
  int channels;
  int* calls;
  static float factor(long pixel, int channel) { return float(pixel % 5 + 1 + channel % 3); }
  void operator()(float* row, long pixel, int channel, int count) const {
    for (int i = 0; i < count; ++i) {
      row[i] *= factor(pixel, channel + i);
      ++calls[pixel * channels + channel + i];
    }
  }
};

template <class Kernel>
Floats run_kernel(size_t outputs, long workspace, int threads, const Kernel& kernel) {
  Guarded out(long(outputs) * 4), work(workspace);
  run_team(threads, [&](const Thread& t) { kernel(out.data(), work.data(), t); });
  return out.copy();
}

/// Checks a kernel with an epilogue against `want`, for several teams, and that they agree.
template <class Kernel>
void expect_marked(std::vector<double> want, int channels, long (*workspace)(int), double tolerance,
                   const Kernel& kernel) {
  for (size_t i = 0; i < want.size(); ++i)
    want[i] *= Marking::factor(long(i) / channels, int(i % channels));
  Floats first;
  for (int threads : {1, 2, 3}) {
    std::vector<int> calls(want.size(), 0);
    const Marking epilogue{channels, calls.data()};
    const Floats got = run_kernel(
        want.size(), workspace(threads), threads,
        [&](float* out, float* work, const Thread& t) { kernel(out, work, epilogue, t); });
    EXPECT_LT(relative_error(got, want), tolerance) << threads << " threads";
    EXPECT_EQ(calls, std::vector<int>(want.size(), 1)) << threads << " threads";
    first = threads == 1 ? got : first;
    EXPECT_EQ(std::memcmp(got.data(), first.data(), got.size() * 4), 0) << threads << " threads";
  }
}

template <class Kernel>
void expect_gradient(const std::vector<double>& want, long (*workspace)(int),
                     const Kernel& kernel) {
  Floats first;
  for (int threads : {1, 2, 3}) {
    const Floats got = run_kernel(want.size(), workspace(threads), threads, kernel);
    EXPECT_LT(relative_error(got, want), 1e-5) << threads << " threads";
    first = threads == 1 ? got : first;
    EXPECT_EQ(std::memcmp(got.data(), first.data(), got.size() * 4), 0) << threads << " threads";
  }
}

// Two devices that hold half the blocks each: their results add up to the bits of one.

/// The half `half` of the middle dimension of [outer][middle][inner].
inline Floats half_of(const Floats& f, size_t outer, size_t middle, size_t inner, size_t half) {
  const size_t length = middle / 2 * inner;
  Floats part(outer * length);
  for (size_t o = 0; o < outer; ++o)
    for (size_t i = 0; i < length; ++i)
      part[o * length + i] = f[o * middle * inner + half * length + i];
  return part;
}

inline void expect_sum(const Floats& whole, const Floats& first, const Floats& second) {
  int different = 0;
  for (size_t i = 0; i < whole.size(); ++i)
    different += whole[i] != first[i] + second[i];
  EXPECT_EQ(different, 0) << "of " << whole.size();
}

} // namespace netc
