#include "runtime/data/codecs.h"

#include <cstring>
#include <memory>

#include <png.h>

namespace netc {

namespace {

/// A libpng reader over bytes in memory. libpng reports errors by a function that must not
/// return; read() below, which it jumps back to, owns no C++ objects.
struct Reader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::span<const uint8_t> bytes; ///< What is left to read.
  std::vector<png_bytep> rows;
  std::string refused;
  char message[160] = "";

  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

[[noreturn]] void fail(png_structp png, png_const_charp message) {
  auto* reader = static_cast<Reader*>(png_get_error_ptr(png));
  std::strncpy(reader->message, message, sizeof reader->message - 1);
  png_longjmp(png, 1);
}

void ignore_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep out, size_t count) {
  auto* reader = static_cast<Reader*>(png_get_io_ptr(png));
  if (count > reader->bytes.size())
    png_error(png, "premature end of PNG file");
  std::memcpy(out, reader->bytes.data(), count);
  reader->bytes = reader->bytes.subspan(count);
}

/// Asks libpng for 8-bit grey or RGB, whatever the file holds.
void request_bytes(png_structp png, png_infop info) {
  const int color = png_get_color_type(png, info);
  if (color == PNG_COLOR_TYPE_PALETTE)
    png_set_palette_to_rgb(png);
  if (color == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(png, info) < 8)
    png_set_expand_gray_1_2_4_to_8(png);
  png_set_scale_16(png);
  png_set_strip_alpha(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
}

/// Everything that may jump; `reader` and `image` own all memory. What follows the pixels is not
/// read, so a file that lacks only its end chunk is good.
bool read(Reader& reader, Image& image) {
  if (setjmp(png_jmpbuf(reader.png)))
    return false;
  png_set_read_fn(reader.png, &reader, read_bytes);
  png_set_user_limits(reader.png, 0x7fffffff, 0x7fffffff);
  png_read_info(reader.png, reader.info);
  image.height = static_cast<int>(png_get_image_height(reader.png, reader.info));
  image.width = static_cast<int>(png_get_image_width(reader.png, reader.info));
  reader.refused = data::refused_size(image.width, image.height);
  if (!reader.refused.empty())
    return false;
  request_bytes(reader.png, reader.info);
  image.channels = png_get_channels(reader.png, reader.info);
  const size_t pitch = png_get_rowbytes(reader.png, reader.info);
  if ((image.channels != 1 && image.channels != 3) ||
      pitch != static_cast<size_t>(image.width) * image.channels)
    png_error(reader.png, "unexpected pixel layout");
  image.pixels.resize(pitch * image.height);
  reader.rows.resize(image.height);
  for (int y = 0; y < image.height; ++y)
    reader.rows[y] = image.pixels.data() + y * pitch;
  png_read_image(reader.png, reader.rows.data());
  return true;
}

} // namespace

bool data::decode_png(std::span<const uint8_t> bytes, Image& image, std::string& why) {
  auto reader = std::make_unique<Reader>();
  reader->bytes = bytes;
  reader->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, reader.get(), fail, ignore_warning);
  if (reader->png)
    reader->info = png_create_info_struct(reader->png);
  if (!reader->info)
    throw std::bad_alloc();
  if (read(*reader, image))
    return true;
  why = reader->refused.empty() ? reader->message : reader->refused;
  return false;
}

} // namespace netc
