#include "runtime/data/files.h"
#include "runtime/data/kinds.h"

#include <utility>

namespace netc::data {

namespace {

/// Images in files, decoded at every load.
class FileDataset final : public Dataset {
public:
  FileDataset(FileList list, const StoredFormat& format) : Dataset(format), list_(std::move(list)) {
    class_names_ = std::move(list_.class_names);
    notes_ = std::move(list_.notes);
  }

  int64_t size(Split split) const override { return static_cast<int64_t>(files(split).size()); }
  int32_t label(Split split, int64_t index) const override { return files(split)[index].label; }

  std::string name(Split split, int64_t index) const override {
    const std::string& path = files(split)[index].path;
    if (list_.root.empty() || path.starts_with('/'))
      return path;
    return list_.root.ends_with('/') ? list_.root + path : list_.root + '/' + path;
  }

  bool load(Split split, int64_t index, uint8_t* out, std::string* why) const override {
    std::vector<uint8_t> bytes;
    std::string reason;
    std::optional<Image> image;
    if (read_file(name(split, index), bytes, reason))
      image = decode_image(bytes, &reason);
    if (image)
      fit_image(*image, format_, out);
    else if (why)
      *why = std::move(reason);
    return image.has_value();
  }

private:
  const std::vector<LabelledFile>& files(Split split) const {
    return split == Split::train ? list_.train : list_.validation;
  }

  FileList list_;
};

} // namespace

std::unique_ptr<Dataset> make_file_dataset(FileList list, const StoredFormat& format) {
  return std::make_unique<FileDataset>(std::move(list), format);
}

void split_every_tenth(std::vector<LabelledFile>& train, std::vector<LabelledFile>& validation) {
  std::vector<LabelledFile> all;
  std::swap(all, train);
  for (size_t i = 0; i < all.size(); ++i)
    (validates(static_cast<int64_t>(i)) ? validation : train).push_back(std::move(all[i]));
}

} // namespace netc::data
