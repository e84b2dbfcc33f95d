#include "runtime/data/codecs.h"

#include "ir/support/error.h"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include <jpeglib.h>

#include <jerror.h>

namespace netc {

namespace {

/// More scans than any encoder writes: a small file of many scans would decode for minutes.
constexpr int max_scans = 500;

/// libjpeg's error manager, with the place its errors jump to. libjpeg reports errors by a
/// function that must not return; the functions that call setjmp below own no C++ objects.
struct ErrorManager {
  jpeg_error_mgr base{};
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX] = "";
};

[[noreturn]] void fail(j_common_ptr info) {
  auto* errors = reinterpret_cast<ErrorManager*>(info->err);
  info->err->format_message(info, errors->message);
  std::longjmp(errors->jump, 1);
}

/// Warnings (level -1) pass, but for those of a file that is cut short: libjpeg would fill the
/// rest with grey.
void on_message(j_common_ptr info, int level) {
  const int code = info->err->msg_code;
  if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER))
    fail(info);
}

void install(ErrorManager& errors, jpeg_error_mgr*& slot) {
  slot = jpeg_std_error(&errors.base);
  errors.base.error_exit = fail;
  errors.base.emit_message = on_message;
}

void limit_scans(j_common_ptr info) {
  if (!info->is_decompressor ||
      reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= max_scans)
    return;
  auto* errors = reinterpret_cast<ErrorManager*>(info->err);
  std::snprintf(errors->message, sizeof errors->message, "more than %d scans", max_scans);
  std::longjmp(errors->jump, 1);
}

struct Reader {
  jpeg_decompress_struct info{};
  jpeg_progress_mgr progress{};
  ErrorManager errors;
  std::vector<uint8_t> row; ///< One CMYK row.
  std::string refused;

  ~Reader() { jpeg_destroy_decompress(&info); }
};

/// Ink to light: an Adobe file stores 255 - ink, others the ink itself.
void cmyk_to_rgb(const uint8_t* in, int count, bool inverted, uint8_t* out) {
  for (int i = 0; i < count; ++i)
    for (int c = 0; c < 3; ++c) {
      const int light = inverted ? in[4 * i + c] : 255 - in[4 * i + c];
      const int black = inverted ? in[4 * i + 3] : 255 - in[4 * i + 3];
      out[3 * i + c] = static_cast<uint8_t>((light * black + 127) / 255);
    }
}

/// Everything that may jump; `reader` and `image` own all memory.
bool read(Reader& reader, std::span<const uint8_t> bytes, Image& image) {
  jpeg_decompress_struct& info = reader.info;
  if (setjmp(reader.errors.jump))
    return false;
  jpeg_create_decompress(&info);
  reader.progress.progress_monitor = limit_scans;
  info.progress = &reader.progress;
  jpeg_mem_src(&info, bytes.data(), bytes.size());
  jpeg_read_header(&info, TRUE);
  reader.refused = data::refused_size(info.image_width, info.image_height);
  if (reader.refused.empty() && info.num_components == 2)
    reader.refused = "two components, which has no known meaning";
  if (!reader.refused.empty())
    return false;

  const bool cmyk = info.num_components == 4;
  const bool grey = info.num_components == 1;
  info.out_color_space = cmyk ? JCS_CMYK : grey ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_start_decompress(&info);
  image.height = static_cast<int>(info.output_height);
  image.width = static_cast<int>(info.output_width);
  image.channels = grey ? 1 : 3;
  const size_t pitch = static_cast<size_t>(image.width) * image.channels;
  image.pixels.resize(pitch * image.height);
  if (cmyk)
    reader.row.resize(static_cast<size_t>(image.width) * 4);
  while (info.output_scanline < info.output_height) {
    uint8_t* target = image.pixels.data() + info.output_scanline * pitch;
    JSAMPROW row = cmyk ? reader.row.data() : target;
    jpeg_read_scanlines(&info, &row, 1);
    if (cmyk)
      cmyk_to_rgb(row, image.width, info.saw_Adobe_marker, target);
  }
  jpeg_finish_decompress(&info);
  return true;
}

struct Writer {
  jpeg_compress_struct info{};
  ErrorManager errors;
  unsigned char* bytes = nullptr; ///< Allocated by libjpeg with malloc.
  unsigned long size = 0;

  ~Writer() {
    jpeg_destroy_compress(&info);
    std::free(bytes);
  }
};

bool write(Writer& writer, const Image& image, int quality) {
  jpeg_compress_struct& info = writer.info;
  if (setjmp(writer.errors.jump))
    return false;
  jpeg_create_compress(&info);
  jpeg_mem_dest(&info, &writer.bytes, &writer.size);
  info.image_width = static_cast<JDIMENSION>(image.width);
  info.image_height = static_cast<JDIMENSION>(image.height);
  info.input_components = image.channels;
  info.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  jpeg_start_compress(&info, TRUE);
  const size_t pitch = static_cast<size_t>(image.width) * image.channels;
  while (info.next_scanline < info.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(image.pixels.data() + info.next_scanline * pitch);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  return true;
}

} // namespace

bool data::decode_jpeg(std::span<const uint8_t> bytes, Image& image, std::string& why) {
  auto reader = std::make_unique<Reader>();
  install(reader->errors, reader->info.err);
  if (read(*reader, bytes, image))
    return true;
  why = reader->refused.empty() ? reader->errors.message : reader->refused;
  return false;
}

std::vector<uint8_t> encode_jpeg(const Image& image, int quality) {
  auto writer = std::make_unique<Writer>();
  install(writer->errors, writer->info.err);
  NETC_CHECK(write(*writer, image, quality), "libjpeg cannot write an image of {}x{}x{}: {}",
             image.height, image.width, image.channels, writer->errors.message);
  return {writer->bytes, writer->bytes + writer->size};
}

} // namespace netc
