#pragma once
// Kernels to text. One printer serves the C family; a dialect is a table of what differs.

#include "codegen/lowering.h"
#include "ir/plan.h"

namespace netc {

/// How one language says what Kernel IR leaves open. In patterns, {name}, {lo}, {hi}, {type},
/// {count}, {offset}, {items} and {at} (which item of a block) are replaced; {lo+} is `lo + `,
/// or nothing where that is 0.
struct Dialect {
  std::string name;         ///< `cpu`, `cuda`; the folder below codegen/device/.
  std::string extension;    ///< Of source files, without the dot.
  std::string parallel;     ///< Opens a loop over `item` in the iterations of this thread or block.
  std::string spread;       ///< Opens a loop over the iterations of this thread or warp.
  std::string after_spread; ///< Statement behind it; may be empty.
  std::string lanes;        ///< Opens a loop over lanes.
  std::string after_lanes;  ///< Statement behind a loop over lanes; may be empty.
  std::string before_lanes; ///< Line before it, e.g. a pragma; may be empty.
  std::string warp_lanes;   ///< Opens a loop over lanes inside a spread loop.
  std::string after_warp_lanes; ///< Statement behind it; may be empty.
  std::string alloc;            ///< An array private to the parallel iteration.
  std::string pointer;          ///< Type of a buffer of {type}.
  bool split_at_barriers;       ///< A barrier ends the kernel; the next phase is another one.
};

const Dialect& cpu_dialect();
const Dialect& cuda_dialect();
/// The dialect that kernels for `target` are printed in.
const Dialect& dialect_of(const Target& target);

/// The text of a kernel. Equal kernels give equal text, whatever layer they serve: the entry is
/// `kernel` (CPU), `kernel_0`, `kernel_1`... (CUDA, one a phase).
struct KernelText {
  std::string text;
  std::vector<KernelEntry> entries{}; ///< Of CUDA text, one a phase.
  int64_t local_bytes = 0;            ///< Arrays private to a parallel iteration.
};

/// Prints a kernel. `local_limit`: bytes of arrays that one iteration may have; a kernel of CUDA
/// has fewer threads a block where those of as many as usual do not fit.
KernelText print_kernel(const LoweredNode& lowered, const Dialect& dialect, bool exact,
                        int64_t local_limit);

} // namespace netc
