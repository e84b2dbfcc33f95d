#include "runtime/data/loader.h"

#include "ir/support/error.h"
#include "ir/support/philox.h"
#include "runtime/data/parallel.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>
#include <unordered_set>
#include <utility>

namespace netc {

std::vector<int32_t> epoch_order(uint64_t seed, int64_t epoch, int64_t count) {
  std::vector<int32_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  const auto key0 = static_cast<unsigned>(seed);
  const unsigned key1 = static_cast<unsigned>(seed >> 32) ^ stream_order;
  Philox4 words{};
  for (int64_t i = 0; i < count - 1; ++i) {
    if (i % 4 == 0)
      words = philox4x32_10(key0, key1, static_cast<unsigned>(epoch), static_cast<unsigned>(i / 4),
                            0, 0);
    // Multiplying maps a word to 0 .. count - i - 1 with a bias below count / 2^32.
    const uint64_t rest = static_cast<uint64_t>(count - i);
    std::swap(order[i], order[i + static_cast<int64_t>(words.word[i % 4] * rest >> 32)]);
  }
  return order;
}

namespace {

constexpr int64_t claim_size = 16; // Samples a worker takes at once.

/// One place of the ring: a batch, and how far the workers are with it.
struct Slot {
  Batch batch;
  int64_t done = 0;                                     ///< Samples finished.
  std::vector<std::pair<int64_t, std::string>> damaged; ///< Position in the batch, reason.
};

} // namespace

/// Steps are opened, decoded, delivered and released in ascending order; step s lives in slot
/// s mod depth. `mutex_` guards all members below it and the bookkeeping of slots; a worker alone
/// touches the pixels and labels of the samples it claimed, next() those of the batch it gave out.
class Loader::Impl {
public:
  Impl(const Dataset& dataset, LoaderOptions options)
      : dataset_(dataset), options_(std::move(options)), size_(dataset.size(options_.split)),
        image_bytes_(dataset.format().bytes()), opened_(options_.first_step),
        released_(options_.first_step), next_(options_.first_step) {
    NETC_CHECK(options_.batch >= 1 && options_.depth >= 2 && options_.first_step >= 0,
               "loader of batch {}, depth {}, first step {}", options_.batch, options_.depth,
               options_.first_step);
    NETC_CHECK(size_ > 0 || options_.split == Split::validation, "no training images");
    NETC_CHECK(size_ <= INT32_MAX, "{} images, sample ids have 31 bits", size_);
    slots_.resize(static_cast<size_t>(options_.depth));
    const auto batch = static_cast<size_t>(options_.batch);
    for (Slot& slot : slots_) {
      slot.batch.images.resize(batch * static_cast<size_t>(image_bytes_));
      slot.batch.labels.resize(batch);
      slot.batch.sample_ids.resize(batch);
      slot.batch.epochs.resize(batch);
    }
    start_workers();
  }

  ~Impl() { stop(); }

  const Batch* next();

  int64_t steps_per_epoch() const { return (size_ + options_.batch - 1) / options_.batch; }

  double waited = 0;
  std::unordered_set<int32_t> damaged; ///< Sample ids.

private:
  /// Samples [begin, end) of a slot.
  struct Claim {
    Slot* slot = nullptr;
    int64_t begin = 0;
    int64_t end = 0;
  };

  void start_workers();
  void stop();
  void work();
  bool claim(Claim& claim);
  void open_step();
  void load(const Claim& claim);
  void report(const Slot& slot);

  bool at_end(int64_t step) const {
    return options_.split == Split::validation && step >= steps_per_epoch();
  }
  Slot& slot_of(int64_t step) { return slots_[static_cast<size_t>(step % options_.depth)]; }

  const Dataset& dataset_;
  const LoaderOptions options_;
  const int64_t size_;
  const int64_t image_bytes_;

  std::mutex mutex_;
  std::condition_variable work_;  ///< A step can be opened, or samples claimed, or stop.
  std::condition_variable ready_; ///< A step is complete, or a worker failed.
  std::vector<Slot> slots_;
  int64_t opened_;      ///< Steps below are open or finished.
  int64_t claimed_ = 0; ///< Samples of step opened_ - 1 that workers have taken.
  int64_t released_;    ///< Slots of steps below are free.
  bool stopping_ = false;
  std::exception_ptr failure_;
  int64_t order_epoch_ = -1; ///< The epoch of order_.
  std::vector<int32_t> order_;

  int64_t next_;            ///< Consumer's: the step next() delivers.
  bool holding_ = false;    ///< Consumer's: step next_ - 1 is given out.
  int64_t damaged_run_ = 0; ///< Consumer's: damaged samples since the last good one.
  std::vector<std::jthread> workers_;
};

void Loader::Impl::start_workers() {
  const int count = options_.workers > 0 ? options_.workers : std::min(data::thread_count(0), 16);
  try {
    for (int i = 0; i < count; ++i)
      workers_.emplace_back([this] { work(); });
  } catch (const std::system_error& error) {
    if (workers_.empty())
      throw RuntimeError(fmt::format("cannot start a thread to load data: {}", error.what()),
                         "raise the limit of processes");
  }
}

void Loader::Impl::stop() {
  {
    std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  workers_.clear(); // Joins.
}

void Loader::Impl::work() {
  try {
    for (Claim claim; this->claim(claim);)
      load(claim);
  } catch (...) {
    std::scoped_lock lock(mutex_);
    if (!failure_)
      failure_ = std::current_exception();
    stopping_ = true;
    work_.notify_all();
    ready_.notify_all();
  }
}

/// Takes the next samples to load, waiting for a free slot; false when there is nothing more.
bool Loader::Impl::claim(Claim& claim) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (stopping_)
      return false;
    if (opened_ > options_.first_step && claimed_ < options_.batch)
      break;
    if (at_end(opened_))
      return false;
    if (opened_ - released_ < options_.depth)
      open_step();
    else
      work_.wait(lock);
  }
  claim.slot = &slot_of(opened_ - 1);
  claim.begin = claimed_;
  claim.end = claimed_ = std::min(claimed_ + claim_size, options_.batch);
  return true;
}

/// Decides which samples step `opened_` holds.
void Loader::Impl::open_step() {
  Slot& slot = slot_of(opened_);
  slot.done = 0;
  slot.damaged.clear();
  Batch& batch = slot.batch;
  batch.step = opened_;
  for (int64_t i = 0; i < options_.batch; ++i) {
    const int64_t position = opened_ * options_.batch + i;
    if (options_.split == Split::validation) {
      batch.sample_ids[i] = position < size_ ? static_cast<int32_t>(position) : -1;
      batch.epochs[i] = 0;
      continue;
    }
    const int64_t epoch = position / size_;
    if (epoch != order_epoch_) {
      order_ = epoch_order(options_.seed, epoch, size_);
      order_epoch_ = epoch;
    }
    batch.sample_ids[i] = order_[position % size_];
    batch.epochs[i] = static_cast<int32_t>(epoch);
  }
  ++opened_;
  claimed_ = 0;
  work_.notify_all();
}

void Loader::Impl::load(const Claim& claim) {
  Batch& batch = claim.slot->batch;
  std::vector<std::pair<int64_t, std::string>> damaged;
  for (int64_t i = claim.begin; i < claim.end; ++i) {
    const int32_t id = batch.sample_ids[i];
    uint8_t* out = batch.images.data() + i * image_bytes_;
    std::string why;
    if (id >= 0 && dataset_.load(options_.split, id, out, &why)) {
      batch.labels[i] = dataset_.label(options_.split, id);
      continue;
    }
    std::memset(out, 0, static_cast<size_t>(image_bytes_));
    batch.labels[i] = -1;
    if (id >= 0)
      damaged.emplace_back(i, std::move(why));
  }
  std::scoped_lock lock(mutex_);
  Slot& slot = *claim.slot;
  slot.damaged.insert(slot.damaged.end(), std::make_move_iterator(damaged.begin()),
                      std::make_move_iterator(damaged.end()));
  slot.done += claim.end - claim.begin;
  if (slot.done == options_.batch) {
    std::sort(slot.damaged.begin(), slot.damaged.end());
    batch.valid = std::count_if(batch.labels.begin(), batch.labels.end(),
                                [](int32_t label) { return label >= 0; });
    ready_.notify_all();
  }
}

const Batch* Loader::Impl::next() {
  std::unique_lock lock(mutex_);
  if (std::exchange(holding_, false)) {
    ++released_;
    work_.notify_all();
  }
  if (at_end(next_))
    return nullptr;
  Slot& slot = slot_of(next_);
  auto ready = [&] { return failure_ || (opened_ > next_ && slot.done == options_.batch); };
  if (!ready()) {
    const auto begin = std::chrono::steady_clock::now();
    ready_.wait(lock, ready);
    waited += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  if (failure_)
    std::rethrow_exception(failure_);
  ++next_;
  holding_ = true;
  lock.unlock();
  report(slot);
  return &slot.batch;
}

/// Warns of the damaged images of a batch, and gives up when nothing can be read any more.
void Loader::Impl::report(const Slot& slot) {
  const int64_t limit = std::min<int64_t>(2 * size_, 1000);
  int64_t good_from = 0; // Position after the last damaged sample.
  for (const auto& [position, why] : slot.damaged) {
    const int32_t id = slot.batch.sample_ids[position];
    const std::string name = dataset_.name(options_.split, id);
    if (damaged.insert(id).second && options_.warn)
      options_.warn(fmt::format("skipped image `{}`: {}", name, why));
    damaged_run_ = position > good_from ? 1 : damaged_run_ + 1;
    good_from = position + 1;
    if (damaged_run_ >= limit)
      throw RuntimeError(fmt::format("none of the last {} images could be read, the last being "
                                     "`{}`: {}",
                                     damaged_run_, name, why),
                         "check that the data is still there");
  }
  if (good_from < options_.batch)
    damaged_run_ = 0;
}

Loader::Loader(const Dataset& dataset, LoaderOptions options)
    : impl_(std::make_unique<Impl>(dataset, std::move(options))) {}
Loader::~Loader() = default;
const Batch* Loader::next() {
  return impl_->next();
}
double Loader::waited_seconds() const {
  return impl_->waited;
}
int64_t Loader::damaged_images() const {
  return static_cast<int64_t>(impl_->damaged.size());
}
int64_t Loader::steps_per_epoch() const {
  return impl_->steps_per_epoch();
}

} // namespace netc
