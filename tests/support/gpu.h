#pragma once
// Whether this machine has a GPU for the suites whose name ends in `Gpu`.

#include "runtime/devices.h"
#include "tools/driver/backend.h"

#include <optional>
#include <vector>

namespace netc::test {

inline constexpr const char* no_gpu = "skipped: no GPU";

/// What users' plans for the first GPU are compiled for (sm_90a on an H100), or nothing; a test
/// then says `GTEST_SKIP() << no_gpu`.
inline std::optional<Target> first_gpu() {
  try {
    return compile_target(*open_device({.name = "cuda:0"}));
  } catch (const RuntimeError&) {
    return std::nullopt;
  }
}

/// The target of users' plans; after it, where that has instructions of warpgroups, the same GPU
/// without. Empty without a GPU.
inline std::vector<Target> gpu_targets() {
  std::vector<Target> targets;
  if (const std::optional<Target> best = first_gpu()) {
    targets.push_back(*best);
    if (const Target plain = open_device({.name = "cuda:0"})->target();
        plain.has_warpgroups() != best->has_warpgroups())
      targets.push_back(plain);
  }
  return targets;
}

} // namespace netc::test
