#include "ir/strategy.h"

#include <fmt/ranges.h>

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

/// A word where that says all, else a map.
std::string print(const LayerCut& cut) {
  std::string more;
  if (cut.cut == Cut::device)
    more += fmt::format(", device: {}", cut.device);
  if (cut.then != Cut::follow)
    more += fmt::format(", then: {}", to_string(cut.then));
  if (!cut.bounds.empty())
    more += fmt::format(", bounds: [{}]", fmt::join(cut.bounds, ", "));
  return more.empty() ? std::string(to_string(cut.cut))
                      : fmt::format("{{cut: {}{}}}", to_string(cut.cut), more);
}

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

std::vector<std::string> cut_words() {
  std::vector<std::string> words;
  for (const auto& [value, name] : cuts)
    words.emplace_back(name);
  return words;
}

std::string print(const Strategy& strategy) {
  std::string text = fmt::format("devices: {}\n", strategy.devices);
  if (!strategy.layers.empty())
    text += "layers:\n";
  for (const auto& [layer, cut] : strategy.layers)
    text += fmt::format("  {}: {}\n", layer, print(cut));
  if (strategy.sharded_update)
    text += "update: sharded\n";
  return text;
}

} // namespace netc
