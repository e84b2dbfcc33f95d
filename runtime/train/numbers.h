#pragma once
// Numbers as text in files: printed shortest so that reading gives the same bits back.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace netc {

/// The shortest decimal that reads back as `value`: `0.1`, `1e-05`, `nan`, `-inf`.
std::string number_text(double value);

/// The number `text` spells in full, or nothing: no spaces, no sign `+`, nothing behind it.
std::optional<double> parse_double(std::string_view text);
std::optional<int64_t> parse_int(std::string_view text);
std::optional<uint64_t> parse_unsigned(std::string_view text);

} // namespace netc
