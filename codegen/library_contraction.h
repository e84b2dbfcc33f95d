#pragma once
// Contractions that a library of the GPU's maker computes: which, and what it leaves to a kernel.

#include "codegen/group.h"
#include "codegen/lowering.h"

namespace netc {

/// The libraries that may compute a contraction, by the names of their candidates. They are never
/// the default: a plan that calls one runs only where it is installed. They write floats.
std::vector<std::string> library_candidates(const ContractionUse& use,
                                            const LoweringOptions& options);

/// Whether a candidate of that name is a library.
bool is_library(const std::string& candidate);

/// Fills in what a contraction needs that `library` computes: the call, and entries for what it
/// leaves: weights in another order before or behind it, the members of the group that it cannot
/// do. Returns the bytes of the kernel's workspaces, which come behind operands and results: one
/// for the weights in that order, if there are, and one for the library itself.
std::vector<int64_t> specialise_for_library(Contraction& contraction, const Group& group,
                                            const std::string& library);

/// How many members of the group, from the first on, the call computes.
size_t members_computed(const LibraryCall& call);

/// The contraction's call in words that tell it from others, with its parameters as numbers:
/// `cublaslt linear_forward 128x9216->4096, tf32: 0, 1, bias 2, to 3, scratch 4`.
std::string call_text(const Contraction& contraction);

} // namespace netc
