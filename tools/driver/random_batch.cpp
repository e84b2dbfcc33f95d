#include "tools/driver/random_batch.h"

#include "ir/support/philox.h"

#include <algorithm>

namespace netc {

Batch random_batch(const Plan& plan, uint64_t seed) {
  const InputSpec& input = plan.recipe.input;
  size_t count = static_cast<size_t>(plan.batch);
  Batch batch;
  batch.images.resize(
      count * static_cast<size_t>(input.channels * input.stored_height * input.stored_width));
  for (size_t i = 0; i < batch.images.size(); i += 4) {
    Philox4 words = philox4x32_10(static_cast<unsigned>(seed), stream_synthetic,
                                  static_cast<unsigned>(i), 0, 0, 0);
    for (size_t k = 0; k < 4 && i + k < batch.images.size(); ++k)
      batch.images[i + k] = static_cast<uint8_t>(words.word[k]);
  }
  for (size_t i = 0; i < count; ++i) {
    batch.labels.push_back(
        static_cast<int32_t>(static_cast<int64_t>(i) % std::max<int64_t>(plan.recipe.classes, 1)));
    batch.sample_ids.push_back(static_cast<int32_t>(i));
    batch.epochs.push_back(0);
  }
  batch.valid = plan.batch;
  return batch;
}

} // namespace netc
