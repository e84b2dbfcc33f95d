#pragma once
// Plans of graphs that belong to no network, for measuring.

#include "codegen/lowering.h"
#include "ir/plan.h"
#include "tools/driver/backend.h"

namespace netc {

/// A program of a trial.
struct TrialProgram {
  std::string name;
  std::vector<Graph*> graphs; ///< By device; they may be the same. Layouts and order are final.
  /// The candidate of a contraction; null: by the default rule.
  ChooseCandidate choose{};
};

/// Compiles the kernels into `folder`/kernels and makes a plan for as many devices as the programs
/// have graphs. Its state are the parameters of all graphs; those of one name are one tensor.
Plan trial_plan(const std::string& name, const std::vector<TrialProgram>& programs,
                const Backend& backend, const LoweringOptions& lowering,
                const std::filesystem::path& folder);

} // namespace netc
