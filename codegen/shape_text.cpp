#include "codegen/shape_text.h"

#include <fmt/format.h>

namespace netc {

std::string shape_text(const std::variant<Conv2d, Linear>& shape) {
  if (const auto* c = std::get_if<Conv2d>(&shape))
    return fmt::format(
        "constexpr netc::Conv2d shape{{\n"
        "    .batch = {}, .in_height = {}, .in_width = {}, .in_channels = {}, .out_channels = {},\n"
        "    .kernel_height = {}, .kernel_width = {}, .groups = {}, .stride_height = {},\n"
        "    .stride_width = {}, .dilation_height = {}, .dilation_width = {}, .pad_top = {},\n"
        "    .pad_left = {}, .pad_bottom = {}, .pad_right = {}, .exact_blocks = {}{}}};",
        c->batch, c->in_height, c->in_width, c->in_channels, c->out_channels, c->kernel_height,
        c->kernel_width, c->groups, c->stride_height, c->stride_width, c->dilation_height,
        c->dilation_width, c->pad_top, c->pad_left, c->pad_bottom, c->pad_right, c->exact_blocks,
        c->bias_gradient ? ", .bias_gradient = true" : "");
  const auto& l = std::get<Linear>(shape);
  return fmt::format("constexpr netc::Linear shape{{\n    .batch = {}, .in_features = {}, "
                     ".out_features = {}, .exact_blocks = {}}};",
                     l.batch, l.in_features, l.out_features, l.exact_blocks);
}

std::string shape_name(const std::variant<Conv2d, Linear>& shape) {
  if (const auto* l = std::get_if<Linear>(&shape))
    return fmt::format("{}x{}->{}", l->batch, l->in_features, l->out_features);
  const auto& c = std::get<Conv2d>(shape);
  return fmt::format("{}x{}x{}x{}->{} kernel {}x{} groups {} stride {}x{} dilation {}x{} pad "
                     "{},{},{},{}{}",
                     c.batch, c.in_height, c.in_width, c.in_channels, c.out_channels,
                     c.kernel_height, c.kernel_width, c.groups, c.stride_height, c.stride_width,
                     c.dilation_height, c.dilation_width, c.pad_top, c.pad_left, c.pad_bottom,
                     c.pad_right, c.bias_gradient ? " with bias" : "");
}

} // namespace netc
