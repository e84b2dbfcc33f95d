#include "ir/attribute.h"

#include "ir/support/error.h"

#include <fmt/ranges.h>

namespace netc {

std::string_view to_string(AttrKind kind) {
  switch (kind) {
  case AttrKind::boolean:
    return "boolean";
  case AttrKind::integer:
    return "integer";
  case AttrKind::real:
    return "number";
  case AttrKind::text:
    return "word";
  case AttrKind::integers:
    return "list of integers";
  }
  return "?";
}

AttrKind kind_of(const Attribute& attribute) {
  // The alternatives of Attribute stand in the order of AttrKind.
  return static_cast<AttrKind>(attribute.index());
}

namespace {

std::string real_string(double value) {
  std::string text = fmt::format("{}", value);
  return text.find_first_of(".en") == text.npos ? text + ".0" : text;
}

} // namespace

std::string to_string(const Attribute& attribute) {
  switch (kind_of(attribute)) {
  case AttrKind::boolean:
    return std::get<bool>(attribute) ? "true" : "false";
  case AttrKind::integer:
    return std::to_string(std::get<int64_t>(attribute));
  case AttrKind::real:
    return real_string(std::get<double>(attribute));
  case AttrKind::text:
    return fmt::format("\"{}\"", std::get<std::string>(attribute));
  case AttrKind::integers:
    return fmt::format("[{}]", fmt::join(std::get<std::vector<int64_t>>(attribute), ", "));
  }
  return {};
}

const Attribute& Attributes::at(std::string_view name) const {
  auto it = map_.find(name);
  NETC_CHECK(it != map_.end(), "no attribute `{}`", name);
  return it->second;
}

namespace {

template <class T> const T& get(const Attribute& attribute, std::string_view name) {
  const T* value = std::get_if<T>(&attribute);
  NETC_CHECK(value, "attribute `{}` is a {}", name, to_string(kind_of(attribute)));
  return *value;
}

} // namespace

bool Attributes::flag(std::string_view name) const {
  return get<bool>(at(name), name);
}
int64_t Attributes::integer(std::string_view name) const {
  return get<int64_t>(at(name), name);
}
double Attributes::real(std::string_view name) const {
  return get<double>(at(name), name);
}
const std::string& Attributes::text(std::string_view name) const {
  return get<std::string>(at(name), name);
}
const std::vector<int64_t>& Attributes::integers(std::string_view name) const {
  return get<std::vector<int64_t>>(at(name), name);
}

void Attributes::erase(std::string_view name) {
  auto it = map_.find(name);
  if (it != map_.end())
    map_.erase(it);
}

} // namespace netc
