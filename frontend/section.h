#pragma once
// One map of the file, read key by key; what nobody asked for is an unknown key.

#include "frontend/values.h"

#include <functional>

namespace netc::frontend {

/// Reads a map. `name` says which in messages: "`input`", "conv2d `conv1`".
class Section {
public:
  /// Reports an error when `value` is not a map; every later call then finds nothing.
  Section(const YamlNode& value, std::string name, Diagnostics& diagnostics);

  bool valid() const { return map_ != nullptr; }
  const Loc& loc() const { return loc_; }
  const std::string& name() const { return name_; }
  /// "`key` of <name>", for messages.
  std::string what(const std::string& key) const;

  /// The value of a key, or null when it is not given; the key is known from now on.
  const YamlNode* take(const std::string& key);
  /// The same; finish() reports an error with `doc` as a note when it is not given.
  const YamlNode* require(const std::string& key, const std::string& doc);
  /// Reads the declared keys: those not given take their defaults. False after an error.
  bool read(const std::vector<AttrDef>& defs, Attributes& into);
  /// Reports the required keys that are not given; a misspelling of one is reported in its place.
  void report_missing();
  /// Reports what is missing, then every key that was neither taken nor read.
  void finish();

private:
  /// A required key that is not given.
  struct Missing {
    std::string key;
    std::string doc;
  };

  bool is_known(const std::string& key) const;
  void report_unknown(const YamlEntry& entry);

  std::string name_;
  Diagnostics& diagnostics_;
  const YamlNode* map_ = nullptr;
  Loc loc_;
  std::vector<std::string> known_;
  std::vector<Missing> missing_;
  std::vector<std::string> reported_; ///< Unknown keys that need no second error.
};

/// A file that is one map.
struct Document {
  const std::string& text;
  const std::string& file_name;
  std::string name; ///< "the network", for messages.
  std::string keys; ///< Says of an empty file what it must hold.
};
/// Has `read` read the map. False after an error.
bool read_document(const Document& document, Diagnostics& diagnostics,
                   const std::function<void(Section&)>& read);

} // namespace netc::frontend
