#pragma once
// Measuring contraction candidates on this machine, for the tuner.

#include "codegen/toolchain.h"
#include "codegen/tuning.h"

namespace netc {

/// A hook that compiles a candidate without epilogue, runs it on random data with `threads`
/// threads for about `budget_ms`, and checks sampled outputs against double precision.
/// `toolchain` must outlive it.
MeasureCandidate cpu_measure(const CpuToolchain& toolchain, int threads, double budget_ms = 300);

} // namespace netc
