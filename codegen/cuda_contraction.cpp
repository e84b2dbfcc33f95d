#include "codegen/cuda_contraction.h"

#include "ir/support/error.h"

#include <algorithm>

namespace netc {

namespace {

Conv2d conv_of(const std::variant<Conv2d, Linear>& shape) {
  const auto* linear = std::get_if<Linear>(&shape);
  return linear ? as_conv2d(*linear) : std::get<Conv2d>(shape);
}

Pass pass_of(const std::string& family) {
  for (auto [suffix, pass] :
       {std::pair{"_forward", Pass::forward}, std::pair{"_data_gradient", Pass::data_gradient},
        std::pair{"_weight_gradient", Pass::weight_gradient}})
    if (family.ends_with(suffix))
      return pass;
  internal_error(__FILE__, __LINE__, fmt::format("`{}` is no pass of a contraction", family));
}

Math math_of(Precision precision) {
  switch (precision) {
  case Precision::fp32:
    return Math::fma;
  case Precision::x3tf32:
    return Math::x3tf32;
  case Precision::tf32:
    return Math::tf32;
  case Precision::bf16:
    break;
  }
  return Math::bf16;
}

std::string_view name_of(Math math) {
  constexpr std::string_view names[] = {"fma", "tf32", "x3tf32", "bf16"};
  return names[static_cast<size_t>(math)];
}

/// A launch over `items` elements, a few a thread: enough blocks for every multiprocessor.
KernelEntry sweep(long items) {
  constexpr long most = 16 * usual_multiprocessors;
  return {.blocks = std::clamp(ceil_div(items, 4 * tile_threads), 1L, most),
          .threads = tile_threads};
}

} // namespace

Tiling cuda_tiling(const std::string& family, const std::variant<Conv2d, Linear>& shape,
                   Precision precision, const Target& target) {
  return choose_tiling(conv_of(shape), pass_of(family), math_of(precision), target.shared_bytes());
}

int64_t specialise_for_cuda(Contraction& contraction, const std::string& family,
                            const Target& target) {
  const Conv2d c = conv_of(contraction.shape);
  const Pass pass = pass_of(family);
  const Tiling t = cuda_tiling(family, contraction.shape, contraction.precision, target);
  const ProductShape p = product_shape(c, pass);
  contraction.constants = fmt::format(
      "constexpr netc::Tiling tiling{{\n    .math = netc::Math::{}, .rows = {}, .columns = {}, "
      ".stages = {}, .splits = {}}};",
      name_of(t.math), t.rows, t.columns, t.stages, t.splits);
  if (packs(c, pass))
    contraction.entries.push_back(sweep(p.packed_floats));
  contraction.entries.push_back({.blocks = tiles(p, t) * t.splits,
                                 .threads = tile_threads,
                                 .shared_bytes = tile_shared_bytes(c, pass, t)});
  if (t.splits > 1)
    contraction.entries.push_back(sweep(p.groups * p.rows * p.columns));
  return tiled_workspace_bytes(c, pass, t);
}

} // namespace netc
