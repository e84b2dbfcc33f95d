#include "ir/support/hash.h"

#define XXH_INLINE_ALL // the library is its header
#include <xxhash.h>

#include <fmt/format.h>

namespace netc {

std::string content_hash(std::string_view bytes) {
  XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

} // namespace netc
