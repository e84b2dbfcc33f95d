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

constexpr std::array<std::pair<Schedule, std::string_view>, 3> schedules = {
    {{Schedule::gpipe, "gpipe"},
     {Schedule::one_forward_one_backward, "1f1b"},
     {Schedule::round_robin, "round-robin"}}};

template <class Table, class Value> std::string_view word_of(const Table& table, Value value) {
  for (const auto& [each, name] : table)
    if (each == value)
      return name;
  return "";
}

template <class Table> auto value_of(const Table& table, std::string_view word) {
  std::optional<typename Table::value_type::first_type> found;
  for (const auto& [value, name] : table)
    if (name == word)
      found = value;
  return found;
}

template <class Table> std::vector<std::string> words_of(const Table& table) {
  std::vector<std::string> words;
  for (const auto& [value, name] : table)
    words.emplace_back(name);
  return words;
}

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
  return word_of(cuts, cut);
}

std::optional<Cut> parse_cut(std::string_view text) {
  return value_of(cuts, text);
}

std::vector<std::string> cut_words() {
  return words_of(cuts);
}

std::string describe(const LayerCut& cut) {
  std::string text{to_string(cut.cut)};
  if (cut.cut == Cut::device)
    text += fmt::format(" {}", cut.device);
  if (cut.then != Cut::follow)
    text += fmt::format(", then {}", to_string(cut.then));
  if (!cut.bounds.empty())
    text += fmt::format(" [{}]", fmt::join(cut.bounds, ", "));
  return text;
}

std::string_view to_string(Schedule schedule) {
  return word_of(schedules, schedule);
}

std::optional<Schedule> parse_schedule(std::string_view text) {
  return value_of(schedules, text);
}

std::vector<std::string> schedule_words() {
  return words_of(schedules);
}

std::string print(const Strategy& strategy) {
  std::string text = fmt::format("devices: {}\n", strategy.devices);
  if (!strategy.layers.empty())
    text += "layers:\n";
  for (const auto& [layer, cut] : strategy.layers)
    text += fmt::format("  {}: {}\n", layer, print(cut));
  if (strategy.sharded_update)
    text += "update: sharded\n";
  if (strategy.micro_batches != MicroBatches{})
    text += fmt::format("micro_batches: {}\nschedule: {}\n", strategy.micro_batches.count,
                        to_string(strategy.micro_batches.schedule));
  return text;
}

} // namespace netc
