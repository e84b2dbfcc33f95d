#include "frontend/section.h"

#include <algorithm>

namespace netc::frontend {

Section::Section(const YamlNode& value, std::string name, Diagnostics& diagnostics)
    : name_(std::move(name)), diagnostics_(diagnostics), loc_(value.loc) {
  if (value.is_map())
    map_ = &value;
  else
    ValueReader(diagnostics).mismatch(value, name_, "a map of `key: value` pairs");
}

std::string Section::what(const std::string& key) const {
  return fmt::format("`{}` of {}", key, name_);
}

const YamlNode* Section::take(const std::string& key) {
  known_.push_back(key);
  const YamlEntry* entry = map_ ? map_->find(key) : nullptr;
  return entry ? entry->value.get() : nullptr;
}

const YamlNode* Section::require(const std::string& key, const std::string& doc) {
  const YamlNode* value = take(key);
  if (!value && map_)
    missing_.push_back({key, doc});
  return value;
}

bool Section::read(const std::vector<AttrDef>& defs, Attributes& into) {
  ValueReader reader(diagnostics_);
  bool ok = valid();
  for (const AttrDef& def : defs) {
    std::string doc = def.doc;
    if (!def.choices.empty())
      doc = fmt::format("{}; {}", alternatives(def.choices), doc);
    const YamlNode* value = def.fallback ? take(def.name) : require(def.name, doc);
    if (!value) {
      ok = ok && def.fallback;
      if (def.fallback)
        into.set(def.name, *def.fallback);
    } else if (auto attribute = reader.attribute(*value, def, what(def.name))) {
      into.set(def.name, std::move(*attribute));
    } else {
      ok = false;
    }
  }
  return ok;
}

bool Section::is_known(const std::string& key) const {
  return std::find(known_.begin(), known_.end(), key) != known_.end();
}

void Section::report_missing() {
  for (const Missing& missing : missing_) {
    auto misspelt =
        std::find_if(map_->entries.begin(), map_->entries.end(), [&](const YamlEntry& entry) {
          return !is_known(entry.key) && nearest_word(entry.key, known_) == missing.key;
        });
    if (misspelt != map_->entries.end()) {
      report_unknown(*misspelt);
      reported_.push_back(misspelt->key);
    } else {
      diagnostics_.error(loc_, fmt::format("{} needs the key `{}`", name_, missing.key))
          .note(fmt::format("`{}`: {}", missing.key, missing.doc));
    }
  }
  missing_.clear();
}

void Section::report_unknown(const YamlEntry& entry) {
  const size_t colon = entry.key.find(':');
  std::string hint = suggestion(entry.key, known_);
  Diagnostic& d = diagnostics_.error(
      entry.loc, fmt::format("unknown key {} of {}{}", quote(entry.key), name_, hint));
  if (colon != std::string::npos && entry.value->kind == YamlNode::Kind::null)
    d.note(fmt::format("a space must follow the colon: `{}: {}`", plain(entry.key.substr(0, colon)),
                       plain(entry.key.substr(colon + 1))));
  else if (entry.key == "<<")
    d.note("merge keys are not supported; repeat the keys");
  else if (hint.empty())
    d.note(fmt::format("known keys: {}", alternatives(known_, "and")));
}

void Section::finish() {
  if (!map_)
    return;
  report_missing();
  for (const YamlEntry& entry : map_->entries) {
    if (too_many(diagnostics_))
      return;
    if (!is_known(entry.key) &&
        std::find(reported_.begin(), reported_.end(), entry.key) == reported_.end())
      report_unknown(entry);
  }
}

bool read_document(const Document& document, Diagnostics& diagnostics,
                   const std::function<void(Section&)>& read) {
  const int errors_before = diagnostics.error_count();
  auto file = std::make_shared<const SourceFile>(SourceFile{document.file_name, document.text});
  const YamlPtr root = parse_yaml(file, diagnostics, document.keys);
  if (!root)
    return false;
  Section section(*root, document.name, diagnostics);
  read(section);
  section.finish();
  if (too_many(diagnostics))
    diagnostics.error({file}, "too many errors, others are not shown");
  return diagnostics.error_count() == errors_before;
}

} // namespace netc::frontend
