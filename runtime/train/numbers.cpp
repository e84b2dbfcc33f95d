#include "runtime/train/numbers.h"

#include <fmt/format.h>

#include <charconv>

namespace netc {

std::string number_text(double value) {
  if (value != value)
    return "nan"; // The sign of a NaN depends on the processor.
  return fmt::format("{}", value);
}

namespace {

template <typename Number> std::optional<Number> parse(std::string_view text) {
  Number value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return value;
}

} // namespace

std::optional<double> parse_double(std::string_view text) {
  return parse<double>(text);
}

std::optional<int64_t> parse_int(std::string_view text) {
  return parse<int64_t>(text);
}

std::optional<uint64_t> parse_unsigned(std::string_view text) {
  return parse<uint64_t>(text);
}

} // namespace netc
