#include "ir/strategy.h"

#include <array>
#include <utility>

namespace netc {

namespace {

constexpr std::array<std::pair<Cut, std::string_view>, 7> cuts = {{{Cut::follow, "follow"},
                                                                   {Cut::whole, "whole"},
                                                                   {Cut::data, "data"},
                                                                   {Cut::filter, "filter"},
                                                                   {Cut::channel, "channel"},
                                                                   {Cut::spatial, "spatial"},
                                                                   {Cut::device, "device"}}};

} // namespace

std::string_view to_string(Cut cut) {
  for (const auto& [value, name] : cuts)
    if (value == cut)
      return name;
  return "";
}

std::optional<Cut> parse_cut(std::string_view text) {
  for (const auto& [value, name] : cuts)
    if (name == text)
      return value;
  return std::nullopt;
}

} // namespace netc
