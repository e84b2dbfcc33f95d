#pragma once
// Attributes: the named constants of a node, and their declaration in an operator's record.

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace netc {

enum class AttrKind { boolean, integer, real, text, integers };
/// `boolean`, `integer`, `number`, `word`, `list of integers`: as error messages say it.
std::string_view to_string(AttrKind kind);

using Attribute = std::variant<bool, int64_t, double, std::string, std::vector<int64_t>>;
AttrKind kind_of(const Attribute& attribute);
/// IR notation: `true`, `3`, `0.5`, `"floor"`, `[1, 1]`; reals always carry a point or exponent.
std::string to_string(const Attribute& attribute);

/// The attributes of a node, sorted by name. The typed getters raise InternalError when the
/// attribute is absent or of another kind: the frontend has checked user input by then.
class Attributes {
public:
  Attributes() = default;
  Attributes(std::initializer_list<std::pair<const std::string, Attribute>> list) : map_(list) {}

  bool has(std::string_view name) const { return map_.find(name) != map_.end(); }
  bool flag(std::string_view name) const;
  int64_t integer(std::string_view name) const;
  double real(std::string_view name) const;
  const std::string& text(std::string_view name) const;
  const std::vector<int64_t>& integers(std::string_view name) const;

  void set(const std::string& name, Attribute value) { map_[name] = std::move(value); }
  void erase(std::string_view name);
  auto begin() const { return map_.begin(); }
  auto end() const { return map_.end(); }
  bool empty() const { return map_.empty(); }
  bool operator==(const Attributes&) const = default;

private:
  const Attribute& at(std::string_view name) const;
  std::map<std::string, Attribute, std::less<>> map_;
};

/// Declares an attribute: its kind, default and legal values.
///
/// A list of integers of fixed length (`length`) may be written in YAML as one integer that stands
/// for all entries, e.g. `stride: 2`; a list of length 4 (padding: top, left, bottom, right) also
/// as two (vertical, horizontal).
struct AttrDef {
  std::string name;
  AttrKind kind = AttrKind::integer;
  std::optional<Attribute> fallback{}; ///< Required when empty.
  std::string doc{};
  double min = -std::numeric_limits<double>::infinity(); ///< Inclusive, each entry.
  double max = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices{}; ///< Legal words; empty = any.
  int length = 0;                     ///< Entries of a list of integers; 0 = any number.
  bool implied = false;               ///< The text form of graphs leaves the default out.
};

} // namespace netc
