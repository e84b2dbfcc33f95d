#pragma once
// From YAML values to attributes, and the wording of what is wrong with a value.

#include "frontend/yaml_tree.h"
#include "ir/attribute.h"

namespace netc::frontend {

/// Text made fit for a message of one line: control characters replaced, long text cut.
std::string plain(std::string_view text, size_t longest = 48);
/// The same in backticks.
std::string quote(std::string_view text);
/// `a`, `b` or `c`.
std::string alternatives(const std::vector<std::string>& words, const char* conjunction = "or");
/// What stands in the file, for messages: `` `many` ``, `a map`, `a list of 3`, `nothing`.
std::string describe(const YamlNode& value);
/// `, did you mean `x`?`: the nearest candidate by letters, else those that contain the word or
/// that it contains.
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates);

/// `between 1 and 64`: what a declaration allows of a number.
std::string range_string(const AttrDef& def);

/// Whether so many errors have been reported that looking for more helps nobody.
bool too_many(const Diagnostics& diagnostics);

/// Reads values and reports what is wrong with them. `what` names the value in messages:
/// "`stride` of conv2d `conv1`". Nothing is returned after an error.
class ValueReader {
public:
  explicit ValueReader(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  /// A value as an attribute's declaration asks for it: kind, range, choices, length.
  std::optional<Attribute> attribute(const YamlNode& value, const AttrDef& def,
                                     const std::string& what);
  std::optional<bool> boolean(const YamlNode& value, const std::string& what);
  std::optional<int64_t> integer(const YamlNode& value, const AttrDef& def,
                                 const std::string& what);
  std::optional<double> real(const YamlNode& value, const AttrDef& def, const std::string& what);
  /// A word, one of `def.choices` when there are any.
  std::optional<std::string> text(const YamlNode& value, const AttrDef& def,
                                  const std::string& what);
  /// A number or a list of numbers.
  std::optional<std::vector<double>> reals(const YamlNode& value, const AttrDef& def,
                                           const std::string& what);
  /// A word that can name a layer or a network: letters, digits, `_` and `-`, a letter first.
  std::optional<std::string> name(const YamlNode& value, const std::string& what);

  /// Reports "`what` must be `wanted`, got ..." at the value.
  Diagnostic& mismatch(const YamlNode& value, const std::string& what, const std::string& wanted);

private:
  std::optional<std::vector<int64_t>> integers(const YamlNode& value, const AttrDef& def,
                                               const std::string& what);
  bool in_range(const YamlNode& value, double number, const AttrDef& def, const std::string& what);

  Diagnostics& diagnostics_;
};

} // namespace netc::frontend
