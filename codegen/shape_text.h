#pragma once
// The constants of a contraction as generated text states them.

#include "codegen/lowering.h"

namespace netc {

/// `constexpr netc::Conv2d shape{...};`, or the same of a Linear.
std::string shape_text(const std::variant<Conv2d, Linear>& shape);

/// The shape in short: `64x512->256`, `64x27x27x96->256 kernel 5x5 groups 2 ...`.
std::string shape_name(const std::variant<Conv2d, Linear>& shape);

} // namespace netc
