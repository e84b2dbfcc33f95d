#pragma once
// Contractions as subjects of mutation.

#include "tests/emu/emulated_contraction.h"
#include "tests/emu/mutation.h"

#include <limits>

namespace netc {

/// A pass of a contraction (0: forward, 1: data gradient, 2: weight gradient) in a tiling. `blocks`
/// of each launch; 0: as planned.
inline Subject contraction(size_t index, const Conv2d& shape, const Tiling& tiling,
                           int blocks = 0) {
  const PassCase pass = conv_passes(shape)[index];
  const Floats factor = random_floats(pass.want.size(), 4);
  return {fmt::format("{}, {}, {} splits", pass.family, name_of(tiling.math), tiling.splits),
          tolerance_of(tiling.math), [=](const EditText& edit) {
            EmulatedContraction kernels(pass, shape, tiling, edit);
            const Floats got = kernels.run(pass.a, pass.b, factor, blocks);
            return kernels.seen_once()
                       ? std::max(relative_error(got, scaled(pass.want, factor)),
                                  bias_gradient_error(pass, kernels.bias_gradient()))
                       : std::numeric_limits<double>::infinity();
          }};
}

} // namespace netc
