#include "ir/support/diagnostics.h"
#include "runtime/data/files.h"
#include "runtime/data/kinds.h"

#include <algorithm>

// CIFAR-10 binary version: records of 1 label byte, then 1024 red, 1024 green and 1024 blue bytes
// (A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009).

namespace netc::data {

namespace {

constexpr size_t image_bytes = 3 * 32 * 32;
constexpr size_t record_bytes = 1 + image_bytes;

/// Appends the records of a file, or throws UserError.
void add_records(const std::string& path, RawImages& out) {
  std::vector<uint8_t> bytes;
  std::string why;
  if (!read_file(path, bytes, why))
    user_error(fmt::format("cannot read `{}`: {}", printable(path), why));
  if (bytes.empty() || bytes.size() % record_bytes != 0)
    user_error(fmt::format("`{}` is cut short or no CIFAR-10 file: {} bytes are not a number of "
                           "records of {} bytes",
                           printable(path), bytes.size(), record_bytes));
  for (size_t at = 0; at < bytes.size(); at += record_bytes) {
    if (bytes[at] > 9)
      user_error(fmt::format("`{}` is no CIFAR-10 file: record {} has label {}, not 0..9",
                             printable(path), at / record_bytes, bytes[at]));
    out.labels.push_back(bytes[at]);
    const auto image = bytes.begin() + static_cast<ptrdiff_t>(at) + 1;
    out.pixels.insert(out.pixels.end(), image, image + image_bytes);
  }
}

} // namespace

std::unique_ptr<Dataset> open_cifar10(const std::string& path, const StoredFormat& format) {
  require_folder(path);
  const FolderContent content = list_folder(path);
  std::vector<std::string> batches, others;
  bool test = false;
  for (const std::string& file : content.files) {
    if (!file.ends_with(".bin"))
      continue;
    if (file == "test_batch.bin")
      test = true;
    else
      (file.starts_with("data_batch_") ? batches : others).push_back(file);
  }
  if (batches.empty())
    batches = others;
  if (batches.empty())
    user_error(fmt::format("no CIFAR-10 batches (data_batch_*.bin) in `{}`", printable(path)),
               content.folders.empty() ? "the binary version of CIFAR-10 is read"
                                       : "for class folders of images use `imagefolder:DIR`; the "
                                         "binary version of CIFAR-10 is read here");
  RawSplits splits{.channels = 3,
                   .height = 32,
                   .width = 32,
                   .train = {},
                   .validation = {},
                   .class_names = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog",
                                   "horse", "ship", "truck"}};
  splits.train.source = batches.size() == 1 ? path + '/' + batches[0] : path + "/data_batch_*.bin";
  for (const std::string& batch : batches)
    add_records(path + '/' + batch, splits.train);
  if (test) {
    splits.validation.source = path + "/test_batch.bin";
    add_records(splits.validation.source, splits.validation);
  }
  return make_raw_dataset(std::move(splits), format);
}

} // namespace netc::data
