#include "runtime/byte_text.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <charconv>
#include <utility>

namespace netc {

namespace {

constexpr std::array<std::pair<std::string_view, double>, 9> units = {{{"", 1.0},
                                                                       {"b", 1.0},
                                                                       {"kb", 1e3},
                                                                       {"mb", 1e6},
                                                                       {"gb", 1e9},
                                                                       {"tb", 1e12},
                                                                       {"kib", 1024.0},
                                                                       {"mib", 1048576.0},
                                                                       {"gib", 1073741824.0}}};

} // namespace

std::string byte_text(int64_t bytes) {
  double value = static_cast<double>(bytes);
  return value < 1e9 ? fmt::format("{:.1f} MB", value / 1e6)
                     : fmt::format("{:.2f} GB", value / 1e9);
}

std::string byte_text_beside(int64_t bytes, int64_t other) {
  std::string text = byte_text(bytes);
  return text == byte_text(other) ? fmt::format("{} bytes", bytes) : text;
}

std::optional<int64_t> parse_bytes(std::string_view text) {
  double number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc())
    return std::nullopt;
  std::string unit;
  for (const char* c = end; c != text.data() + text.size(); ++c)
    if (*c != ' ')
      unit += static_cast<char>(std::tolower(static_cast<unsigned char>(*c)));
  for (const auto& [name, factor] : units) {
    double bytes = number * factor;
    if (unit == name && bytes >= 1 && bytes < 9e18) // below what int64_t holds
      return static_cast<int64_t>(bytes);
  }
  return std::nullopt;
}

} // namespace netc
