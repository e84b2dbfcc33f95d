#pragma once
// The two image file formats behind decode_image(): internal to runtime/data.

#include "runtime/data/image.h"

namespace netc::data {

/// Decodes a JPEG file; false with the reason in `why` when it is damaged or too large.
bool decode_jpeg(std::span<const uint8_t> bytes, Image& image, std::string& why);

/// Decodes a PNG file; false with the reason in `why` when it is damaged or too large.
bool decode_png(std::span<const uint8_t> bytes, Image& image, std::string& why);

/// The reason to refuse an image of this size, or an empty string.
std::string refused_size(int64_t width, int64_t height);

} // namespace netc::data
