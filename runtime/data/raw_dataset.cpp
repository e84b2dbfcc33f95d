#include "ir/support/error.h"
#include "runtime/data/kinds.h"

namespace netc::data {

namespace {

/// Uncompressed images in memory.
class RawDataset final : public Dataset {
public:
  RawDataset(RawSplits splits, const StoredFormat& format)
      : Dataset(format), splits_(std::move(splits)) {
    class_names_ = std::move(splits_.class_names);
  }

  int64_t size(Split split) const override {
    return static_cast<int64_t>(images(split).labels.size());
  }
  int32_t label(Split split, int64_t index) const override { return images(split).labels[index]; }
  std::string name(Split split, int64_t index) const override {
    return fmt::format("{} image {}", images(split).source, index);
  }

  bool load(Split split, int64_t index, uint8_t* out, std::string*) const override {
    const size_t plane = static_cast<size_t>(splits_.height) * splits_.width;
    const size_t bytes = plane * splits_.channels;
    const uint8_t* in = images(split).pixels.data() + index * bytes;
    Image image{splits_.height, splits_.width, splits_.channels, std::vector<uint8_t>(bytes)};
    for (int c = 0; c < splits_.channels; ++c)
      for (size_t i = 0; i < plane; ++i)
        image.pixels[i * splits_.channels + c] = in[c * plane + i];
    fit_image(image, format_, out);
    return true;
  }

private:
  const RawImages& images(Split split) const {
    return split == Split::train ? splits_.train : splits_.validation;
  }

  RawSplits splits_;
};

/// Moves every 10th image of `train` to `validation`.
void split_raw(RawSplits& splits) {
  const size_t bytes = static_cast<size_t>(splits.channels) * splits.height * splits.width;
  RawImages all;
  std::swap(all, splits.train);
  splits.train.source = splits.validation.source = all.source;
  for (size_t i = 0; i < all.labels.size(); ++i) {
    RawImages& target = validates(static_cast<int64_t>(i)) ? splits.validation : splits.train;
    const uint8_t* image = all.pixels.data() + i * bytes;
    target.pixels.insert(target.pixels.end(), image, image + bytes);
    target.labels.push_back(all.labels[i]);
  }
}

} // namespace

std::unique_ptr<Dataset> make_raw_dataset(RawSplits splits, const StoredFormat& format) {
  if (splits.validation.labels.empty())
    split_raw(splits);
  return std::make_unique<RawDataset>(std::move(splits), format);
}

} // namespace netc::data
