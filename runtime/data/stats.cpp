#include "runtime/data/stats.h"

#include "ir/support/diagnostics.h"
#include "runtime/data/parallel.h"

#include <algorithm>
#include <mutex>

namespace netc {

std::vector<double> channel_means(const Dataset& dataset, Split split, int threads) {
  constexpr int64_t block = 64; // Images a thread sums before it takes the lock.
  const auto channels = static_cast<size_t>(dataset.format().channels);
  const int64_t images = dataset.size(split);
  std::vector<uint64_t> total(channels, 0);
  int64_t read = 0;
  std::string last_reason;
  std::mutex mutex;

  data::parallel_for((images + block - 1) / block, threads, [&](int64_t index) {
    std::vector<uint8_t> pixels(static_cast<size_t>(dataset.format().bytes()));
    std::vector<uint64_t> sums(channels, 0);
    int64_t good = 0;
    std::string why;
    for (int64_t i = index * block; i < std::min(images, (index + 1) * block); ++i) {
      if (!dataset.load(split, i, pixels.data(), &why))
        continue;
      ++good;
      for (size_t p = 0; p < pixels.size(); p += channels)
        for (size_t c = 0; c < channels; ++c)
          sums[c] += pixels[p + c];
    }
    std::scoped_lock lock(mutex);
    for (size_t c = 0; c < channels; ++c)
      total[c] += sums[c];
    read += good;
    if (!why.empty())
      last_reason = why;
  });
  if (read == 0)
    user_error(fmt::format("none of the {} {} images can be read{}", images, to_string(split),
                           last_reason.empty() ? "" : " (" + last_reason + ")"));
  const int64_t pixels = read * dataset.format().height * dataset.format().width;
  std::vector<double> means;
  for (uint64_t sum : total)
    means.push_back(static_cast<double>(sum) / static_cast<double>(pixels));
  return means;
}

} // namespace netc
