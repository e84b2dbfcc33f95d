#pragma once
// Content hashes for caches and plans.

#include <string>
#include <string_view>

namespace netc {

/// 128-bit XXH3 of the bytes as 32 hexadecimal digits.
std::string content_hash(std::string_view bytes);

} // namespace netc
