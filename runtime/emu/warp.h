#pragma once
// What the 32 lanes of a warp compute together, by the lane layouts of PTX.

#include "ir/emulator_abi.h"

namespace netc {

inline constexpr int warp_size = 32;

/// Carries out an operation on the operands of all lanes: Shuffle or MatrixProduct; a barrier
/// computes nothing.
void warp_operation(emu::WarpOperation what, void* const (&operands)[warp_size]);

} // namespace netc
