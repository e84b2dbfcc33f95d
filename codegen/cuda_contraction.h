#pragma once
// Contractions on GPUs: the tiling of a shape, as text and as launches.

#include "codegen/device/cuda/tiling.h"
#include "codegen/lowering.h"

namespace netc {

/// The tiling of the contraction `family` (`conv2d_forward`, `linear_weight_gradient`, ...) of that
/// shape on `target`.
Tiling cuda_tiling(const std::string& family, const std::variant<Conv2d, Linear>& shape,
                   Precision precision, const Target& target);

/// Fills in what a contraction needs in CUDA: `constants` and `entries`. Returns the bytes of its
/// workspace.
int64_t specialise_for_cuda(Contraction& contraction, const std::string& family,
                            const Target& target);

/// The same in a tiling that is given.
int64_t specialise_for_tiling(Contraction& contraction, const std::string& family,
                              const Tiling& tiling);

} // namespace netc
