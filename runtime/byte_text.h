#pragma once
// Amounts of memory as people write them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace netc {

/// `512.0 MB`, `6.25 GB`; units are powers of 1000.
std::string byte_text(int64_t bytes);

/// The same, in bytes (`1616 bytes`) where it would read like the other amount.
std::string byte_text_beside(int64_t bytes, int64_t other);

/// Reads `6GB`, `6.5 GB`, `512MB`, `8GiB`, `1000000` (bytes), in any case; nothing when `text` is
/// no amount above zero.
std::optional<int64_t> parse_bytes(std::string_view text);

} // namespace netc
