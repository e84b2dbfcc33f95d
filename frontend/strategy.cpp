#include "frontend/strategy.h"

#include "frontend/keys.h"
#include "frontend/section.h"

#include <algorithm>
#include <filesystem>

namespace netc {

using namespace frontend;

namespace {

/// One entry of `layers`, a word or a map.
class CutReader {
public:
  CutReader(const YamlEntry& entry, Diagnostics& diagnostics)
      : value_(*entry.value), name_(fmt::format("layer {}", quote(entry.key))),
        diagnostics_(diagnostics), reader_(diagnostics), cut_{.loc = entry.loc} {}

  LayerCut read() {
    if (value_.is_map())
      read_map();
    else if (value_.is_scalar())
      read_word();
    else
      reader_.mismatch(value_, name_,
                       "a cut such as `data`, or a map such as {cut: filter, bounds: [0, 32, 96]}");
    return std::move(cut_);
  }

private:
  void read_word() {
    auto word = reader_.text(value_, cut_key(), name_);
    if (!word)
      return;
    cut_.cut = *parse_cut(*word);
    if (cut_.cut == Cut::device)
      diagnostics_.error(value_.loc, fmt::format("{} does not say which device", name_))
          .note("for example {cut: device, device: 0}");
  }

  void read_map() {
    Section section(value_, name_, diagnostics_);
    Attributes keys;
    if (!section.read({cut_key()}, keys)) { // What other keys it may have is unknown.
      section.report_missing();
      return;
    }
    cut_.cut = *parse_cut(keys.text("cut"));
    for (const CutKey& more : more_cut_keys())
      read_key(section, more);
    section.finish();
  }

  void read_key(Section& section, const CutKey& more) {
    const std::string& key = more.key.name;
    if (std::find(more.cuts.begin(), more.cuts.end(), cut_.cut) == more.cuts.end()) {
      if (section.take(key))
        reject(key, more.cuts);
      return;
    }
    const YamlNode* value =
        more.key.fallback ? section.take(key) : section.require(key, more.key.doc);
    std::optional<Attribute> attribute;
    if (value)
      attribute = reader_.attribute(*value, more.key, section.what(key));
    if (attribute)
      set(*value, *attribute);
  }

  /// Each of the keys has a type of its own.
  void set(const YamlNode& value, const Attribute& attribute) {
    if (auto* word = std::get_if<std::string>(&attribute))
      cut_.then = *parse_cut(*word);
    else if (auto* number = std::get_if<int64_t>(&attribute))
      cut_.device = static_cast<int>(*number);
    else
      cut_.bounds = std::get<std::vector<int64_t>>(attribute), cut_.bounds_loc = value.loc;
    if (cut_.bounds_loc.known() && cut_.bounds.empty())
      diagnostics_.error(value.loc, fmt::format("`bounds` of {} is empty", name_))
          .note("leave it out to cut evenly");
  }

  void reject(const std::string& key, const std::vector<Cut>& cuts) {
    std::vector<std::string> words;
    for (Cut cut : cuts)
      words.emplace_back(to_string(cut));
    diagnostics_
        .error(value_.find(key)->loc,
               fmt::format("{} is cut by `{}` and has no `{}`", name_, to_string(cut_.cut), key))
        .note(fmt::format("`{}` goes with {}", key, alternatives(words)));
  }

  const YamlNode& value_;
  const std::string name_;
  Diagnostics& diagnostics_;
  ValueReader reader_;
  LayerCut cut_;
};

void read_cuts(const YamlNode& value, Strategy& strategy, Diagnostics& diagnostics) {
  if (!value.is_map()) {
    ValueReader(diagnostics)
        .mismatch(value, "`layers` of the strategy", "a map of `layer: cut` pairs");
    return;
  }
  for (const YamlEntry& entry : value.entries)
    if (!too_many(diagnostics))
      strategy.layers[entry.key] = CutReader(entry, diagnostics).read();
}

} // namespace

std::optional<StrategyFile> parse_strategy(const std::string& text, const std::string& file_name,
                                           Diagnostics& diagnostics) {
  StrategyFile result;
  result.strategy.name = std::filesystem::path(file_name).stem().string();
  auto read = [&](Section& section) {
    Attributes keys;
    if (section.read(strategy_keys(), keys)) {
      result.strategy.devices = static_cast<int>(keys.integer("devices"));
      result.base = keys.text("strategy");
      result.strategy.sharded_update = keys.text("update") == "sharded";
      result.devices_loc = section.take("devices")->loc;
      result.says_update = section.take("update") != nullptr;
      MicroBatches& parts = result.strategy.micro_batches;
      parts.count = static_cast<int>(keys.integer("micro_batches"));
      parts.schedule = *parse_schedule(keys.text("schedule"));
      if (const YamlNode* count = section.take("micro_batches"))
        parts.loc = count->loc;
      result.says_schedule = section.take("schedule") != nullptr;
      if (const YamlNode* base = section.take("strategy"))
        result.base_loc = base->loc;
    }
    if (const YamlNode* layers = section.take("layers"))
      read_cuts(*layers, result.strategy, diagnostics);
  };
  const Document document{text, file_name, "the strategy",
                          "a strategy has the keys `devices` and `layers`"};
  if (!read_document(document, diagnostics, read))
    return std::nullopt;
  return result;
}

} // namespace netc
