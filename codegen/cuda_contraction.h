#pragma once
// Contractions on GPUs: the tiling of a shape, as text and as launches.

#include "codegen/device/cuda/tiling.h"
#include "codegen/lowering.h"

namespace netc {

/// The tilings of the contraction `family` (`conv2d_forward`, `linear_weight_gradient`, ...) of
/// that shape that suit `target`, the one that should be fastest first. `rounded`: memory holds its
/// images or features so (Value::storage).
std::vector<Tiling> cuda_tilings(const std::string& family,
                                 const std::variant<Conv2d, Linear>& shape, Precision precision,
                                 bool rounded, const Target& target);

/// `128x96 stages 4 splits 1`, `128x96x32 warpgroup stages 2 splits 1`: a tiling in tuning tables.
std::string tiling_name(const Tiling& tiling);

/// Fills in what a contraction needs in CUDA: `constants` and `entries`. `chosen`: a tiling's name;
/// empty: the first one. Returns the bytes of its workspace.
int64_t specialise_for_cuda(Contraction& contraction, const std::string& family,
                            const Target& target, const std::string& chosen);

/// The same in a tiling that is given.
int64_t specialise_for_tiling(Contraction& contraction, const std::string& family,
                              const Tiling& tiling);

/// A launch over `items` elements, a few a thread: enough blocks for every multiprocessor.
KernelEntry sweep(long items);

} // namespace netc
