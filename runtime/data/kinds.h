#pragma once
// The kinds of datasets and what they share: internal to runtime/data. A new kind is one open_
// function here and one line of the table in dataset.cpp.

#include "runtime/data/dataset.h"

namespace netc::data {

/// Opens the data at `path` (what follows `KIND:`, empty when absent).
using OpenKind = std::unique_ptr<Dataset>(const std::string& path, const StoredFormat& format);

OpenKind open_imagefolder;
OpenKind open_imagelist;
OpenKind open_cifar10;
OpenKind open_mnist;
OpenKind open_shapes;

/// An image file and its class.
struct LabelledFile {
  std::string path; ///< Relative to FileList::root, or absolute.
  int32_t label = 0;
};

/// What a dataset of image files consists of.
struct FileList {
  std::string root; ///< Put before relative paths.
  std::vector<LabelledFile> train;
  std::vector<LabelledFile> validation;
  std::vector<std::string> class_names;
  std::vector<std::string> notes;
};

/// A dataset that decodes files.
std::unique_ptr<Dataset> make_file_dataset(FileList list, const StoredFormat& format);

/// Uncompressed images of one size, one after another, each channel a plane (CHW).
struct RawImages {
  std::string source; ///< File or folder, for names of images.
  std::vector<uint8_t> pixels;
  std::vector<int32_t> labels;
};

/// Two splits of raw images and their geometry.
struct RawSplits {
  int channels = 0;
  int height = 0;
  int width = 0;
  RawImages train;
  RawImages validation;
  std::vector<std::string> class_names;
};

/// A dataset in memory; images that have the stored size are not resampled.
std::unique_ptr<Dataset> make_raw_dataset(RawSplits splits, const StoredFormat& format);

/// Keeps the decoded images of every split of at most `limit` bytes.
std::unique_ptr<Dataset> make_cached_dataset(std::unique_ptr<Dataset> source, int64_t limit);

/// Whether the image at `index` validates where the data has no validation part of its own.
constexpr bool validates(int64_t index) {
  return index % 10 == 9;
}

/// Moves every 10th item of `train` to `validation`.
void split_every_tenth(std::vector<LabelledFile>& train, std::vector<LabelledFile>& validation);

} // namespace netc::data
