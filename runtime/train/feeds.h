#pragma once
// Writing a batch and the step's numbers into the feeds of a program.

#include "runtime/data/loader.h"
#include "runtime/session.h"

namespace netc {

/// What a step needs besides images.
struct StepNumbers {
  uint64_t seed = 0;
  int64_t step = 0; ///< 0-based; the counter of dropout.
  double rate = 0;
};

/// Copies a batch into the feeds of the program's next run; feeds the program does not have are
/// skipped, here and below.
void fill_batch(Session& session, const std::string& program, const Batch& batch);

/// Copies the step's numbers.
void fill_numbers(Session& session, const std::string& program, const StepNumbers& numbers);

/// Copies both.
void fill_feeds(Session& session, const std::string& program, const Batch& batch,
                const StepNumbers& numbers);

} // namespace netc
