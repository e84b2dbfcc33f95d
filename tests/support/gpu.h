#pragma once
// Whether this machine has a GPU for the suites whose name ends in `Gpu`.

#include "runtime/devices.h"

#include <optional>

namespace netc::test {

inline constexpr const char* no_gpu = "skipped: no GPU";

/// What kernels for the first GPU are compiled for, or nothing; a test then says
/// `GTEST_SKIP() << no_gpu`.
inline std::optional<Target> first_gpu() {
  try {
    return open_device({.name = "cuda:0"})->target();
  } catch (const RuntimeError&) {
    return std::nullopt;
  }
}

} // namespace netc::test
