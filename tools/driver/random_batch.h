#pragma once
// Batches for benchmarks.

#include "ir/plan.h"
#include "runtime/data/loader.h"

namespace netc {

/// Random images with labels in range: the same work as real ones.
Batch random_batch(const Plan& plan, uint64_t seed);

} // namespace netc
