#pragma once
// Photographs in memory: decoding, channel conversion and resampling to the stored size.

#include "ir/recipe.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace netc {

/// An 8-bit image, rows top to bottom, channels innermost: pixels[(y * width + x) * channels + c].
struct Image {
  int height = 0;
  int width = 0;
  int channels = 0; ///< 1 (grey) or 3 (red, green, blue).
  std::vector<uint8_t> pixels;
};

/// The one size and channel count every image of a dataset is brought to: uint8, HWC.
struct StoredFormat {
  int channels = 3; ///< 1 (grey) or 3 (red, green, blue).
  int height = 0;   ///< Pixels.
  int width = 0;
  Resize resize = Resize::cover;

  int64_t bytes() const { return int64_t{channels} * height * width; }
};

/// The stored format a network's `input:` section asks for.
StoredFormat stored_format(const InputSpec& input);

/// Larger images are refused before their pixels are decoded.
inline constexpr int64_t max_image_pixels = 100'000'000;

/// Decodes a JPEG or PNG file held in memory, told apart by its first bytes, never by its name.
/// Grey files give 1 channel, all others 3: CMYK and YCCK are turned into RGB (inverted where an
/// Adobe marker says so), palettes and 16 bits into 8-bit RGB or grey, and alpha is dropped, as
/// PIL's convert("RGB") and OpenCV do. EXIF orientation is not applied, as in Caffe, OpenCV's
/// unchanged mode and torchvision, so that accuracies compare.
/// Empty when the bytes are no such image or a damaged one: pixel data that ends too early, be it
/// within a restart interval, is damage, other JPEG warnings are not. `why`, if given, then tells
/// the reason. Thread-safe.
std::optional<Image> decode_image(std::span<const uint8_t> bytes, std::string* why = nullptr);

/// A baseline JPEG file of a grey or RGB image, quality 1..100, chroma 4:2:0.
std::vector<uint8_t> encode_jpeg(const Image& image, int quality);

/// Grey from RGB as (299 R + 587 G + 114 B) / 1000, RGB from grey by repetition; unchanged where
/// the channels agree.
Image convert_channels(Image image, int channels);

/// Brings `image` to `format` and writes format.bytes() bytes to `out`. Resampling is bilinear
/// with antialiasing: a triangle filter as wide as the reduction, half-pixel centres, edges by
/// renormalised weights, each pass rounded to bytes (the arithmetic of Pillow's BILINEAR).
/// An axis that already has its size is copied, so an image of the stored size stays as it is.
void fit_image(const Image& image, const StoredFormat& format, uint8_t* out);

} // namespace netc
