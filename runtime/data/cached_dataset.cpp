#include "runtime/data/kinds.h"

#include <atomic>
#include <cstring>

namespace netc::data {

namespace {

/// The decoded images of one split, filled as they are first asked for. Memory that is never
/// written is never committed by the system.
class ImageCache {
public:
  void allocate(int64_t images, int64_t bytes) {
    bytes_ = bytes;
    pixels_.reset(new uint8_t[static_cast<size_t>(images * bytes)]);
    state_ = std::vector<std::atomic<uint8_t>>(static_cast<size_t>(images));
  }
  bool used() const { return pixels_ != nullptr; }

  bool get(int64_t index, uint8_t* out) const {
    if (state_[index].load(std::memory_order_acquire) != full)
      return false;
    std::memcpy(out, pixels_.get() + index * bytes_, static_cast<size_t>(bytes_));
    return true;
  }

  /// The first caller for an index fills it; the others find it busy and leave.
  void put(int64_t index, const uint8_t* in) {
    uint8_t expected = empty;
    if (!state_[index].compare_exchange_strong(expected, busy))
      return;
    std::memcpy(pixels_.get() + index * bytes_, in, static_cast<size_t>(bytes_));
    state_[index].store(full, std::memory_order_release);
  }

private:
  static constexpr uint8_t empty = 0, busy = 1, full = 2;
  int64_t bytes_ = 0;
  std::unique_ptr<uint8_t[]> pixels_;
  std::vector<std::atomic<uint8_t>> state_;
};

class CachedDataset final : public Dataset {
public:
  CachedDataset(std::unique_ptr<Dataset> source, int64_t limit)
      : Dataset(source->format()), source_(std::move(source)) {
    class_names_ = source_->class_names();
    notes_ = source_->notes();
    for (Split split : {Split::train, Split::validation}) {
      const int64_t images = source_->size(split);
      if (images > 0 && images <= limit / format_.bytes())
        cache(split).allocate(images, format_.bytes());
    }
  }

  int64_t size(Split split) const override { return source_->size(split); }
  int32_t label(Split split, int64_t index) const override { return source_->label(split, index); }
  std::string name(Split split, int64_t index) const override {
    return source_->name(split, index);
  }

  bool load(Split split, int64_t index, uint8_t* out, std::string* why) const override {
    ImageCache& images = cache(split);
    if (images.used() && images.get(index, out))
      return true;
    if (!source_->load(split, index, out, why))
      return false;
    if (images.used())
      images.put(index, out);
    return true;
  }

private:
  ImageCache& cache(Split split) const { return caches_[split == Split::train ? 0 : 1]; }

  std::unique_ptr<Dataset> source_;
  mutable ImageCache caches_[2];
};

} // namespace

std::unique_ptr<Dataset> make_cached_dataset(std::unique_ptr<Dataset> source, int64_t limit) {
  return std::make_unique<CachedDataset>(std::move(source), limit);
}

} // namespace netc::data
