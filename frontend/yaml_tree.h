#pragma once
// YAML as a small tree in which every key and value knows its place in the file.

#include "ir/support/diagnostics.h"

#include <cstdint>

namespace netc::frontend {

struct YamlNode;
using YamlPtr = std::shared_ptr<const YamlNode>;

/// A key of a map with its value.
struct YamlEntry {
  std::string key;
  Loc loc; ///< Of the key.
  YamlPtr value;
};

/// A value of the file. Aliases share the node of their anchor.
struct YamlNode {
  enum class Kind { null, scalar, list, map };
  Kind kind = Kind::null;
  Loc loc;
  std::string text;               ///< Of a scalar, unquoted.
  bool quoted = false;            ///< A scalar in quotes, or a block of text: never a number.
  std::vector<YamlPtr> items;     ///< Of a list.
  std::vector<YamlEntry> entries; ///< Of a map, in file order; keys are unique.

  bool is_scalar() const { return kind == Kind::scalar; }
  bool is_list() const { return kind == Kind::list; }
  bool is_map() const { return kind == Kind::map; }
  /// The entry of that key, or null.
  const YamlEntry* find(std::string_view key) const;
};

/// Parses one document; null after an error. `keys` says of an empty file what it must hold.
/// Refuses what could exhaust memory or stack: nesting beyond 32, more than 100 aliases, more than
/// 100,000 values with aliases expanded. Tags, keys that are not plain text and second documents
/// are refused, too; a duplicate key is reported and its second value ignored.
YamlPtr parse_yaml(const std::shared_ptr<const SourceFile>& file, Diagnostics& diagnostics,
                   const std::string& keys);

} // namespace netc::frontend
