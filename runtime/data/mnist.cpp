#include "ir/support/diagnostics.h"
#include "runtime/data/files.h"
#include "runtime/data/kinds.h"

#include <algorithm>
#include <filesystem>

// MNIST's IDX files: a big-endian magic number (0x803 images, 0x801 labels), one extent a
// dimension, then bytes (http://yann.lecun.com/exdb/mnist).

namespace netc::data {

namespace {

/// An IDX file of bytes.
struct Idx {
  std::string path;
  std::vector<int64_t> extents;
  std::vector<uint8_t> data;
};

/// The file called `stem`-idxN-ubyte or `stem`.idxN-ubyte, with or without .gz; empty if none.
std::string find_idx(const std::string& folder, const std::string& stem, int rank) {
  for (const char* separator : {"-", "."})
    for (const char* suffix : {"", ".gz"}) {
      std::string path = fmt::format("{}/{}{}idx{}-ubyte{}", folder, stem, separator, rank, suffix);
      std::error_code code;
      if (std::filesystem::is_regular_file(path, code))
        return path;
    }
  return {};
}

int64_t big_endian(const std::vector<uint8_t>& bytes, size_t at) {
  return int64_t{bytes[at]} << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3];
}

Idx read_idx(const std::string& path, int rank) {
  Idx idx{path, {}, {}};
  std::vector<uint8_t> bytes;
  std::string why;
  if (!read_gzip(path, bytes, why))
    user_error(fmt::format("cannot read `{}`: {}", printable(path), why));
  const size_t header = 4 + 4 * static_cast<size_t>(rank);
  if (bytes.size() < header)
    user_error(fmt::format("`{}` is cut short: {} bytes", printable(path), bytes.size()));
  if (const int64_t magic = big_endian(bytes, 0), wanted = 0x800 + rank; magic != wanted)
    user_error(fmt::format("`{}` is no IDX file of {}: magic number {:#010x}, not {:#010x}",
                           printable(path), rank == 1 ? "labels" : "images", magic, wanted));
  int64_t count = 1;
  for (int i = 0; i < rank; ++i) {
    idx.extents.push_back(big_endian(bytes, 4 + 4 * static_cast<size_t>(i)));
    // 2^32 images of 2^14 x 2^14 do not overflow.
    if (idx.extents.back() <= 0 || (i > 0 && idx.extents.back() > 16384))
      user_error(
          fmt::format("`{}` announces an extent of {}", printable(path), idx.extents.back()));
    count *= idx.extents.back();
  }
  if (static_cast<int64_t>(bytes.size() - header) < count)
    user_error(fmt::format("`{}` is cut short: {} bytes of data, {} announced", printable(path),
                           bytes.size() - header, count));
  idx.data.assign(bytes.begin() + static_cast<ptrdiff_t>(header),
                  bytes.begin() + static_cast<ptrdiff_t>(header + count));
  return idx;
}

/// Reads the images and labels called `stem`; false when neither file is there.
bool read_split(const std::string& folder, const std::string& stem, RawSplits& splits,
                RawImages& out) {
  const std::string images_path = find_idx(folder, stem + "-images", 3);
  const std::string labels_path = find_idx(folder, stem + "-labels", 1);
  if (images_path.empty() && labels_path.empty())
    return false;
  if (images_path.empty() || labels_path.empty())
    user_error(fmt::format("`{}` has the {} of `{}` without the {}", printable(folder),
                           images_path.empty() ? "labels" : "images", stem,
                           images_path.empty() ? "images" : "labels"));
  Idx images = read_idx(images_path, 3);
  Idx labels = read_idx(labels_path, 1);
  if (images.extents[0] != labels.extents[0])
    user_error(fmt::format("`{}` has {} images, `{}` has {} labels", printable(images_path),
                           images.extents[0], printable(labels_path), labels.extents[0]));
  const auto height = static_cast<int>(images.extents[1]);
  const auto width = static_cast<int>(images.extents[2]);
  if (splits.height != 0 && (splits.height != height || splits.width != width))
    user_error(fmt::format("`{}` has images of {}x{}, the training images are {}x{}",
                           printable(images_path), height, width, splits.height, splits.width));
  splits.height = height;
  splits.width = width;
  out.source = images_path;
  out.pixels = std::move(images.data);
  out.labels.assign(labels.data.begin(), labels.data.end());
  return true;
}

} // namespace

std::unique_ptr<Dataset> open_mnist(const std::string& path, const StoredFormat& format) {
  require_folder(path);
  RawSplits splits;
  splits.channels = 1;
  if (!read_split(path, "train", splits, splits.train))
    user_error(
        fmt::format("no MNIST training files in `{}`", printable(path)),
        "expected are `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, plain or .gz");
  read_split(path, "t10k", splits, splits.validation);
  int32_t last = 9;
  for (const RawImages* images : {&splits.train, &splits.validation})
    for (int32_t label : images->labels)
      last = std::max(last, label);
  for (int32_t label = 0; label <= last; ++label)
    splits.class_names.push_back(std::to_string(label));
  return make_raw_dataset(std::move(splits), format);
}

} // namespace netc::data
