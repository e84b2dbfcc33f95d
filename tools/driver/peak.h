#pragma once
// What this machine's arithmetic units can do at most.

namespace netc {

/// GFLOP/s of independent fused multiply-adds on `threads` threads at once, measured for about a
/// tenth of a second. The kernel is compiled for this machine; 0 when there is no compiler.
double fma_peak_gflops(int threads);

} // namespace netc
