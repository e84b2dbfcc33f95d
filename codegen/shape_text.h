#pragma once
// The constants of a contraction as generated text states them.

#include "codegen/lowering.h"

namespace netc {

/// `constexpr netc::Conv2d shape{...};`, or the same of a Linear.
std::string shape_text(const std::variant<Conv2d, Linear>& shape);

} // namespace netc
