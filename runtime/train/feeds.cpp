#include "runtime/train/feeds.h"

#include "ir/support/error.h"

#include <cstring>

namespace netc {

namespace {

void fill(std::span<std::byte> feed, const void* data, size_t bytes, const char* name) {
  if (feed.empty())
    return;
  NETC_CHECK(feed.size() == bytes, "feed `{}` takes {} bytes, got {}", name, feed.size(), bytes);
  std::memcpy(feed.data(), data, bytes);
}

template <class T>
void fill(Session& session, const std::string& program, const char* name,
          const std::vector<T>& values) {
  fill(session.feed(program, name), values.data(), values.size() * sizeof(T), name);
}

} // namespace

void fill_batch(Session& session, const std::string& program, const Batch& batch) {
  fill(session, program, "images", batch.images);
  fill(session, program, "labels", batch.labels);
  fill(session, program, "sample_ids", batch.sample_ids);
  fill(session, program, "epochs", batch.epochs);
}

void fill_numbers(Session& session, const std::string& program, const StepNumbers& numbers) {
  fill(session, program, "seed",
       std::vector<uint32_t>{static_cast<uint32_t>(numbers.seed),
                             static_cast<uint32_t>(numbers.seed >> 32)});
  fill(session, program, "step", std::vector<int32_t>{static_cast<int32_t>(numbers.step)});
  fill(session, program, "rate", std::vector<float>{static_cast<float>(numbers.rate)});
}

void fill_feeds(Session& session, const std::string& program, const Batch& batch,
                const StepNumbers& numbers) {
  fill_batch(session, program, batch);
  fill_numbers(session, program, numbers);
}

} // namespace netc
