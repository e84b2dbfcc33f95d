#pragma once
// The loader: worker threads decode images ahead into a ring of batches.

#include "runtime/data/dataset.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace netc {

/// The order in which epoch `epoch` visits `count` training images: a permutation of
/// 0 .. count - 1, a pure function of its arguments (Fisher-Yates, Philox stream_order).
std::vector<int32_t> epoch_order(uint64_t seed, int64_t epoch, int64_t count);

/// Images of one step. A slot without an image (a damaged one, or padding) has label -1, which
/// the loss ignores, and all pixels zero.
struct Batch {
  int64_t step = 0;                ///< 0-based; for validation the position in the split / B.
  std::vector<uint8_t> images;     ///< [B][H][W][C] of the dataset's stored format.
  std::vector<int32_t> labels;     ///< [B]; -1 without an image.
  std::vector<int32_t> sample_ids; ///< [B]; index within the split, -1 for padding.
  std::vector<int32_t> epochs;     ///< [B]; 0-based, 0 for validation.
  int64_t valid = 0;               ///< Slots that hold an image.
};

struct LoaderOptions {
  Split split = Split::train;
  int64_t batch = 0;      ///< B, at least 1; may exceed the size of the split.
  uint64_t seed = 1;      ///< Of the order of training images.
  int64_t first_step = 0; ///< Where to begin, e.g. when a run is resumed.
  int workers = 0;        ///< Threads; 0: one per core, at most 16.
  int depth = 4;          ///< Batches decoded ahead, the one in use included; at least 2.
  /// Called from next(), in order of the batches, once per damaged image, with one line.
  std::function<void(std::string)> warn;
};

/// Delivers the batches of a split.
///
/// Training is endless: the stream of samples is the concatenation of the epochs' orders, and
/// step s takes positions [s B, (s + 1) B), across epoch ends. Validation goes through the split
/// once, in order, and pads the last batch. Both are pure functions of dataset, options and step:
/// neither the number of workers nor their timing shows.
/// next() and the figures are for one consumer thread; the destructor may run at any time.
class Loader {
public:
  /// Starts the workers. `dataset` must outlive the loader. Throws RuntimeError when no thread
  /// can be started.
  Loader(const Dataset& dataset, LoaderOptions options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// The batch of the next step, owned by the loader and valid until the next call; null after
  /// the last batch of validation. Rethrows what a worker threw. Throws RuntimeError when images
  /// fail one after another, twice through the split or 1000 at most: the data is gone.
  const Batch* next();

  /// Seconds next() has waited for workers so far, for data_wait_fraction.
  double waited_seconds() const;
  /// Different damaged images met so far.
  int64_t damaged_images() const;
  /// Batches of one pass of validation; for training, full or begun batches of an epoch.
  int64_t steps_per_epoch() const;

private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace netc
