#pragma once
// Labelled images by index, whatever they lie in: folders, lists, CIFAR-10, MNIST, drawn shapes.

#include "runtime/data/image.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace netc {

/// The two halves of every dataset.
enum class Split : uint8_t { train, validation };
std::string_view to_string(Split split);

/// Labelled images of one stored format, in a fixed order. All members may be called from several
/// threads at once. Indices run from 0 to size(split) - 1.
class Dataset {
public:
  virtual ~Dataset() = default;

  virtual int64_t size(Split split) const = 0;
  /// Class of an image, 0 .. classes() - 1.
  virtual int32_t label(Split split, int64_t index) const = 0;
  /// What messages call the image: its path as the user would write it, or a description.
  virtual std::string name(Split split, int64_t index) const = 0;
  /// Writes format().bytes() bytes (HWC) to `out`. False, with the reason in `why` if that is not
  /// null, when the image is damaged or cannot be read; `out` is then unspecified.
  virtual bool load(Split split, int64_t index, uint8_t* out, std::string* why) const = 0;

  const StoredFormat& format() const { return format_; }
  /// One name per class, by label. Folder names sorted by bytes, or what the source names them.
  const std::vector<std::string>& class_names() const { return class_names_; }
  int classes() const { return static_cast<int>(class_names_.size()); }
  /// Remarks for the user about what was found, e.g. empty class folders; one line each.
  const std::vector<std::string>& notes() const { return notes_; }

protected:
  explicit Dataset(const StoredFormat& format) : format_(format) {}

  StoredFormat format_;
  std::vector<std::string> class_names_;
  std::vector<std::string> notes_;
};

/// Opens `KIND[:PATH]`; dataset_kinds() lists the kinds. Every 10th image (index 9, 19, ...)
/// validates where the source has no validation part of its own; the training split is never
/// empty, the validation split may be. Splits that take at most `cache_bytes` once decoded are
/// kept in memory from their first use on.
/// Throws UserError for an unknown kind, missing, empty, damaged or mislabelled data; one of
/// several mistakes in a list file does not hide the others.
std::unique_ptr<Dataset> open_dataset(const std::string& spec, const StoredFormat& format,
                                      int64_t cache_bytes = int64_t{512} << 20);

/// A kind of dataset, for help texts.
struct DatasetKindInfo {
  std::string_view usage; ///< `imagefolder:DIR`
  std::string_view doc;   ///< One line.
};
std::vector<DatasetKindInfo> dataset_kinds();

/// Writes drawn shapes as JPEG files (quality 90, size x size pixels) in imagefolder layout:
/// DIR/train/<class>/<index>.jpg and DIR/val/... Same arguments, same bytes.
/// `dir` must not exist or be empty (UserError); it appears only when complete. A disk error is a
/// RuntimeError.
void write_shapes(const std::string& dir, int64_t train_count, int64_t val_count, int size,
                  uint64_t seed);

} // namespace netc
