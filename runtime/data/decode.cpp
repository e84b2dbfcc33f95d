#include "runtime/data/codecs.h"

#include "ir/support/error.h"

#include <string_view>

namespace netc {

namespace {

bool starts_with(std::span<const uint8_t> bytes, std::string_view magic, size_t at = 0) {
  return bytes.size() >= at + magic.size() &&
         std::string_view(reinterpret_cast<const char*>(bytes.data()) + at, magic.size()) == magic;
}

/// What a file that is neither JPEG nor PNG is, as far as its first bytes tell.
std::string describe(std::span<const uint8_t> bytes) {
  if (bytes.empty())
    return "empty file";
  struct Format {
    std::string_view magic;
    size_t at;
    std::string_view name;
  };
  static constexpr Format formats[] = {
      {"GIF8", 0, "GIF"},      {"WEBP", 8, "WebP"},
      {"BM", 0, "BMP"},        {std::string_view("II*\0", 4), 0, "TIFF"},
      {"ftypavif", 4, "AVIF"}, {std::string_view("MM\0*", 4), 0, "TIFF"},
      {"ftypheic", 4, "HEIC"},
  };
  for (const Format& format : formats)
    if (starts_with(bytes, format.magic, format.at))
      return fmt::format("a {} image, only JPEG and PNG are read", format.name);
  return "neither a JPEG nor a PNG image";
}

} // namespace

std::string data::refused_size(int64_t width, int64_t height) {
  if (width * height <= max_image_pixels)
    return {};
  return fmt::format("{}x{} pixels, more than the limit of {} megapixels", width, height,
                     max_image_pixels / 1'000'000);
}

std::optional<Image> decode_image(std::span<const uint8_t> bytes, std::string* why) {
  Image image;
  std::string reason;
  bool ok = false;
  if (starts_with(bytes, "\xFF\xD8"))
    ok = data::decode_jpeg(bytes, image, reason);
  else if (starts_with(bytes, "\x89PNG\r\n\x1A\n"))
    ok = data::decode_png(bytes, image, reason);
  else
    reason = describe(bytes);
  if (ok)
    return image;
  if (why)
    *why = std::move(reason);
  return std::nullopt;
}

} // namespace netc
