#include "frontend/values.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace netc::frontend {

std::string plain(std::string_view text, size_t longest) {
  std::string out(text.substr(0, longest));
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 32 || c == 127)
      c = ' ';
  // A cut must not split a UTF-8 sequence.
  if (text.size() > longest)
    while (!out.empty() && (static_cast<unsigned char>(text[out.size()]) & 0xc0) == 0x80)
      out.pop_back();
  return text.size() > longest ? out + "..." : out;
}

std::string quote(std::string_view text) {
  return fmt::format("`{}`", plain(text));
}

std::string alternatives(const std::vector<std::string>& words, const char* conjunction) {
  std::string out;
  for (size_t i = 0; i < words.size(); ++i)
    out += i == 0                  ? quote(words[i])
           : i + 1 == words.size() ? fmt::format(" {} {}", conjunction, quote(words[i]))
                                   : ", " + quote(words[i]);
  return out;
}

std::string describe(const YamlNode& value) {
  switch (value.kind) {
  case YamlNode::Kind::null:
    return "nothing";
  case YamlNode::Kind::scalar:
    return value.quoted ? fmt::format("the text \"{}\"", plain(value.text)) : quote(value.text);
  case YamlNode::Kind::list:
    return fmt::format("a list of {}", value.items.size());
  case YamlNode::Kind::map:
    return "a map";
  }
  return "something else";
}

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates) {
  std::string lower(word);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (std::string near = did_you_mean(lower, candidates); !near.empty())
    return near;
  constexpr size_t shortest = 3;
  auto within = [](std::string_view part, std::string_view whole) {
    return part.size() >= shortest && whole.find(part) != whole.npos;
  };
  std::vector<std::string> akin;
  std::copy_if(candidates.begin(), candidates.end(), std::back_inserter(akin),
               [&](const std::string& c) { return within(lower, c) || within(c, lower); });
  if (akin.empty() || akin.size() > 3)
    return {};
  return fmt::format(", did you mean {}?", alternatives(akin));
}

bool too_many(const Diagnostics& diagnostics) {
  return diagnostics.error_count() >= 100;
}

namespace {

constexpr const char* digits = "0123456789";

/// The number of a plain scalar, or why it is none (for a note; may be empty).
template <class T> struct Parsed {
  std::optional<T> value;
  std::string problem;
};

template <class T> Parsed<T> convert(std::string_view text, const char* range) {
  if (!text.empty() && text[0] == '+')
    text.remove_prefix(1);
  T number{};
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code == std::errc::result_out_of_range)
    return {{}, range};
  if (code != std::errc{} || end != text.data() + text.size())
    return {{}, {}};
  return {number, {}};
}

Parsed<int64_t> parse_integer(const YamlNode& value) {
  std::string_view text = value.text;
  std::string_view body = text.substr(text.starts_with('-') || text.starts_with('+') ? 1 : 0);
  if (value.quoted)
    return {{}, "remove the quotes"};
  if (body.starts_with("0x") || body.starts_with("0o") || body.starts_with("0b"))
    return {{}, "write it in decimal digits"};
  if (body.find('_') != body.npos && body.find_first_not_of("0123456789_") == body.npos)
    return {{}, "write the digits without `_`"};
  if (body.size() > 1 && body[0] == '0' && body.find_first_not_of(digits) == body.npos)
    return {{}, "write it without leading zeros"};
  if (body.empty() || body.find_first_not_of(digits) != body.npos)
    return {{}, {}};
  return convert<int64_t>(text, "it does not fit 64 bits");
}

Parsed<double> parse_real(const YamlNode& value) {
  std::string_view text = value.text;
  if (text.find(',') != text.npos)
    return {{}, "the decimal point is `.`"};
  if (value.quoted)
    return {{}, "remove the quotes"};
  std::string_view body = text.substr(text.starts_with('-') || text.starts_with('+') ? 1 : 0);
  for (std::string_view special : {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN", "inf", "nan"})
    if (body == special)
      return {{}, "it must be finite"};
  if (body.find_first_of(digits) == body.npos ||
      body.find_first_not_of("0123456789.eE+-") != body.npos)
    return {{}, {}};
  return convert<double>(text, "it does not fit a 64-bit floating-point number");
}

std::string limit_string(double limit, AttrKind kind) {
  return kind == AttrKind::real ? fmt::format("{}", limit) : fmt::format("{:.0f}", limit);
}

} // namespace

std::string range_string(const AttrDef& def) {
  std::string low = limit_string(def.min, def.kind), high = limit_string(def.max, def.kind);
  if (std::isinf(def.max))
    return fmt::format("at least {}", low);
  return std::isinf(def.min) ? fmt::format("at most {}", high)
                             : fmt::format("between {} and {}", low, high);
}

Diagnostic& ValueReader::mismatch(const YamlNode& value, const std::string& what,
                                  const std::string& wanted) {
  if (value.kind == YamlNode::Kind::null)
    return diagnostics_.error(value.loc, fmt::format("{} has no value, must be {}", what, wanted));
  return diagnostics_.error(value.loc,
                            fmt::format("{} must be {}, is {}", what, wanted, describe(value)));
}

bool ValueReader::in_range(const YamlNode& value, double number, const AttrDef& def,
                           const std::string& what) {
  if (number >= def.min && number <= def.max)
    return true;
  mismatch(value, what, range_string(def));
  return false;
}

std::optional<bool> ValueReader::boolean(const YamlNode& value, const std::string& what) {
  if (value.is_scalar() && !value.quoted) {
    if (value.text == "true" || value.text == "True" || value.text == "TRUE")
      return true;
    if (value.text == "false" || value.text == "False" || value.text == "FALSE")
      return false;
  }
  mismatch(value, what, "`true` or `false`");
  return std::nullopt;
}

std::optional<int64_t> ValueReader::integer(const YamlNode& value, const AttrDef& def,
                                            const std::string& what) {
  Parsed<int64_t> parsed = value.is_scalar() ? parse_integer(value) : Parsed<int64_t>{};
  if (!parsed.value) {
    Diagnostic& d = mismatch(value, what, "an integer");
    if (!parsed.problem.empty())
      d.note(parsed.problem);
    return std::nullopt;
  }
  return in_range(value, static_cast<double>(*parsed.value), def, what) ? parsed.value
                                                                        : std::nullopt;
}

std::optional<double> ValueReader::real(const YamlNode& value, const AttrDef& def,
                                        const std::string& what) {
  Parsed<double> parsed = value.is_scalar() ? parse_real(value) : Parsed<double>{};
  if (!parsed.value) {
    Diagnostic& d = mismatch(value, what, "a number");
    if (!parsed.problem.empty())
      d.note(parsed.problem);
    return std::nullopt;
  }
  return in_range(value, *parsed.value, def, what) ? parsed.value : std::nullopt;
}

std::optional<std::string> ValueReader::text(const YamlNode& value, const AttrDef& def,
                                             const std::string& what) {
  const bool word = value.is_scalar() && !value.text.empty();
  if (def.choices.empty()) {
    if (word)
      return value.text;
    mismatch(value, what, "a word");
    return std::nullopt;
  }
  if (word && std::find(def.choices.begin(), def.choices.end(), value.text) != def.choices.end())
    return value.text;
  Diagnostic& d = mismatch(value, what, alternatives(def.choices));
  if (word)
    if (std::string hint = suggestion(value.text, def.choices); !hint.empty())
      d.message += hint;
  return std::nullopt;
}

std::optional<std::vector<int64_t>> ValueReader::integers(const YamlNode& value, const AttrDef& def,
                                                          const std::string& what) {
  const auto length = static_cast<size_t>(def.length);
  if (!value.is_list() && length > 0 && value.is_scalar()) {
    std::optional<int64_t> one = integer(value, def, what);
    return one ? std::optional(std::vector<int64_t>(length, *one)) : std::nullopt;
  }
  const size_t count = value.items.size();
  if (!value.is_list() || (length && count != length && !(length == 4 && count == 2))) {
    mismatch(value, what,
             length == 0   ? "a list of integers"
             : length == 4 ? "an integer, a list of 2 (vertical, horizontal) or of 4 (top, left, "
                             "bottom, right)"
                           : fmt::format("an integer or a list of {}", length));
    return std::nullopt;
  }
  std::vector<int64_t> list;
  for (size_t i = 0; i < count; ++i)
    if (auto entry = integer(*value.items[i], def, fmt::format("entry {} of {}", i + 1, what)))
      list.push_back(*entry);
  if (list.size() != count)
    return std::nullopt;
  if (length == 4 && count == 2)
    list = {list[0], list[1], list[0], list[1]};
  return list;
}

std::optional<std::vector<double>> ValueReader::reals(const YamlNode& value, const AttrDef& def,
                                                      const std::string& what) {
  if (!value.is_list()) {
    std::optional<double> one = real(value, def, what);
    return one ? std::optional(std::vector<double>{*one}) : std::nullopt;
  }
  std::vector<double> list;
  for (size_t i = 0; i < value.items.size(); ++i)
    if (auto entry = real(*value.items[i], def, fmt::format("entry {} of {}", i + 1, what)))
      list.push_back(*entry);
  return list.size() == value.items.size() ? std::optional(list) : std::nullopt;
}

std::optional<std::string> ValueReader::name(const YamlNode& value, const std::string& what) {
  constexpr size_t longest = 64;
  auto legal = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  };
  const bool word = value.is_scalar() && !value.text.empty();
  if (word && value.text.size() <= longest &&
      std::isalpha(static_cast<unsigned char>(value.text[0])) &&
      std::all_of(value.text.begin(), value.text.end(), legal))
    return value.text;
  if (!word)
    mismatch(value, what, "a name");
  else
    diagnostics_.error(value.loc, fmt::format("{} is no legal name: {}", what, quote(value.text)))
        .note(
            fmt::format("a name has letters, digits, `_` and `-`, begins with a letter and has at "
                        "most {} characters",
                        longest));
  return std::nullopt;
}

std::optional<Attribute> ValueReader::attribute(const YamlNode& value, const AttrDef& def,
                                                const std::string& what) {
  auto wrap = [](auto optional) {
    return optional ? std::optional<Attribute>(std::move(*optional)) : std::nullopt;
  };
  switch (def.kind) {
  case AttrKind::boolean:
    return wrap(boolean(value, what));
  case AttrKind::integer:
    return wrap(integer(value, def, what));
  case AttrKind::real:
    return wrap(real(value, def, what));
  case AttrKind::text:
    return wrap(text(value, def, what));
  case AttrKind::integers:
    return wrap(integers(value, def, what));
  }
  return std::nullopt;
}

} // namespace netc::frontend
