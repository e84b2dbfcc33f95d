#include "runtime/initialize.h"

#include "ir/support/error.h"
#include "ir/support/philox.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string_view>

namespace netc {

namespace {

/// FNV-1a: a stable number for a tensor's name, so that each has its own random numbers.
uint32_t name_key(std::string_view name) {
  uint32_t hash = 2166136261u;
  for (char c : name)
    hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

/// Calls fn(four random words, index of the first element they are for).
template <class Fn> void for_each_draw(const StateInit& state, uint64_t seed, size_t count, Fn fn) {
  uint32_t name = name_key(state.name);
  for (size_t i = 0; i < count; i += 4)
    fn(philox4x32_10(static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32) ^ stream_init,
                     static_cast<uint32_t>(i / 4), static_cast<uint32_t>((i / 4) >> 32), name, 0),
       i);
}

void fill_uniform(const StateInit& state, uint64_t seed, double limit, std::span<float> values) {
  for_each_draw(state, seed, values.size(), [&](const Philox4& words, size_t i) {
    for (size_t k = 0; k < 4 && i + k < values.size(); ++k)
      values[i + k] =
          static_cast<float>((2.0 * (words.word[k] + 0.5) / 4294967296.0 - 1.0) * limit);
  });
}

void fill_gaussian(const StateInit& state, uint64_t seed, double deviation,
                   std::span<float> values) {
  for_each_draw(state, seed, values.size(), [&](const Philox4& words, size_t i) {
    for (size_t k = 0; k < 4 && i + k < values.size(); ++k) {
      double u = (words.word[k & 2] + 0.5) / 4294967296.0; // in (0, 1)
      double angle = 2 * std::numbers::pi * words.word[(k & 2) + 1] / 4294967296.0;
      double radius = deviation * std::sqrt(-2 * std::log(u));
      values[i + k] = static_cast<float>(radius * (k % 2 ? std::sin(angle) : std::cos(angle)));
    }
  });
}

} // namespace

void initialize_state(const StateInit& state, uint64_t seed, std::span<float> values) {
  double in = static_cast<double>(state.fan_in), out = static_cast<double>(state.fan_out);
  if (state.init == "constant")
    std::fill(values.begin(), values.end(), static_cast<float>(state.scale));
  else if (state.init == "data_mean")
    std::fill(values.begin(), values.end(), 0.0f);
  else if (state.init == "gaussian")
    fill_gaussian(state, seed, state.scale, values);
  else if (state.init == "uniform")
    fill_uniform(state, seed, state.scale, values);
  else if (state.init == "xavier")
    fill_uniform(state, seed, std::sqrt(6 / (in + out)), values);
  else if (state.init == "msra")
    fill_gaussian(state, seed, std::sqrt(2 / in), values);
  else
    NETC_CHECK(false, "`{}` has the unknown initialisation `{}`", state.name, state.init);
}

} // namespace netc
