#pragma once
// A loop over threads for one-off work; the loader has workers of its own.

#include <cstdint>
#include <functional>

namespace netc::data {

/// Calls body(index) for every index in [0, count) from up to `threads` threads (0: one per
/// core), in no particular order. The first exception ends the loop and is rethrown here.
void parallel_for(int64_t count, int threads, const std::function<void(int64_t)>& body);

/// `threads`, or the number of cores when that is 0.
int thread_count(int threads);

} // namespace netc::data
