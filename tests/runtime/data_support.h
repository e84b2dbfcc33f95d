#pragma once
// What the tests of runtime/data share: scratch folders, hand-made PNG and gzip files, messages.

#include "ir/support/error.h"
#include "runtime/data/dataset.h"
#include "tests/support/places.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <fstream>
#include <functional>
#include <string>
#include <unistd.h>
#include <vector>

namespace netc::test {

using Bytes = std::vector<uint8_t>;

/// A folder of its own, removed at the end.
class ScratchFolder {
public:
  ScratchFolder() {
    static std::atomic<int> next{0};
    path_ = binary_root() / fmt::format("scratch-data-{}-{}", ::getpid(), next++);
    std::filesystem::create_directories(path_);
  }
  ~ScratchFolder() {
    std::error_code code;
    std::filesystem::remove_all(path_, code);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  std::string str() const { return path_.string(); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

private:
  std::filesystem::path path_;
};

inline void put_file(const std::string& path, const Bytes& bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

inline void put_file(const std::string& path, const std::string& text) {
  put_file(path, Bytes(text.begin(), text.end()));
}

inline Bytes get_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

inline void append_big_endian(Bytes& out, uint32_t value) {
  for (int shift : {24, 16, 8, 0})
    out.push_back(static_cast<uint8_t>(value >> shift));
}

inline uint32_t crc32(const uint8_t* data, size_t size) {
  uint32_t crc = ~0u;
  for (size_t i = 0; i < size; ++i) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; ++bit)
      crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

/// `data` (below 64 KiB) as one stored deflate block.
inline Bytes deflate_stored(const Bytes& data) {
  const auto size = static_cast<unsigned>(data.size());
  Bytes out = {1, static_cast<uint8_t>(size), static_cast<uint8_t>(size >> 8),
               static_cast<uint8_t>(~size), static_cast<uint8_t>(~size >> 8)};
  out.insert(out.end(), data.begin(), data.end());
  return out;
}

inline Bytes gzip(const Bytes& data) {
  Bytes out = {0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3};
  const Bytes body = deflate_stored(data);
  out.insert(out.end(), body.begin(), body.end());
  for (const auto value : {crc32(data.data(), data.size()), static_cast<uint32_t>(data.size())})
    for (int shift : {0, 8, 16, 24})
      out.push_back(static_cast<uint8_t>(value >> shift));
  return out;
}

/// A PNG file. `rows` are the filtered rows as they stand before compression.
struct Png {
  uint32_t width = 0;
  uint32_t height = 0;
  uint8_t depth = 8;
  uint8_t color = 0; ///< 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA.
  uint8_t interlace = 0;
  Bytes palette;
  Bytes rows;

  Bytes file() const {
    Bytes out = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    Bytes header;
    append_big_endian(header, width);
    append_big_endian(header, height);
    header.insert(header.end(), {depth, color, 0, 0, interlace});
    add_chunk(out, "IHDR", header);
    if (!palette.empty())
      add_chunk(out, "PLTE", palette);
    Bytes data = {0x78, 0x01};
    const Bytes body = deflate_stored(rows);
    data.insert(data.end(), body.begin(), body.end());
    uint32_t a = 1, b = 0; // Adler-32.
    for (uint8_t byte : rows) {
      a = (a + byte) % 65521;
      b = (b + a) % 65521;
    }
    append_big_endian(data, b << 16 | a);
    add_chunk(out, "IDAT", data);
    add_chunk(out, "IEND", {});
    return out;
  }

private:
  static void add_chunk(Bytes& out, const char* type, const Bytes& data) {
    append_big_endian(out, static_cast<uint32_t>(data.size()));
    const size_t begin = out.size();
    out.insert(out.end(), type, type + 4);
    out.insert(out.end(), data.begin(), data.end());
    append_big_endian(out, crc32(&out[begin], out.size() - begin));
  }
};

/// An 8-bit grey PNG whose pixels all have one value.
inline Bytes grey_png(uint32_t width, uint32_t height, uint8_t value) {
  Png png{.width = width, .height = height, .palette = {}, .rows = {}};
  for (uint32_t y = 0; y < height; ++y) {
    png.rows.push_back(0);
    png.rows.insert(png.rows.end(), width, value);
  }
  return png.file();
}

/// Peak signal to noise ratio in dB.
inline double psnr(const Bytes& a, const Bytes& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i)
    sum += (a[i] - b[i]) * (a[i] - b[i]);
  return 10 * std::log10(255.0 * 255.0 * static_cast<double>(a.size()) / std::max(sum, 1e-9));
}

/// The text of the UserError that `act` throws, or `no error`.
inline std::string user_error_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

/// Stored formats of hand-made and of CIFAR-10 images.
inline const StoredFormat tiny = {.channels = 1, .height = 2, .width = 2, .resize = Resize::cover};
inline const StoredFormat cifar = {
    .channels = 3, .height = 32, .width = 32, .resize = Resize::cover};

/// The stored image, which must be readable.
inline Bytes loaded(const Dataset& dataset, Split split, int64_t index) {
  Bytes out(static_cast<size_t>(dataset.format().bytes()));
  std::string why;
  EXPECT_TRUE(dataset.load(split, index, out.data(), &why)) << why;
  return out;
}

/// What opening `spec` fails with.
inline std::string opening_error(const std::string& spec, const StoredFormat& format = tiny) {
  return user_error_of([&] { open_dataset(spec, format); });
}

} // namespace netc::test
