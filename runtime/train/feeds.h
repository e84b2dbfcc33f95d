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

/// Copies batch and numbers into the feeds of the program's next run; feeds the program does not
/// have are skipped.
void fill_feeds(Session& session, const std::string& program, const Batch& batch,
                const StepNumbers& numbers);

} // namespace netc
