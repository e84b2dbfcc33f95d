#pragma once
// The implementations that compete for a contraction, and the rule that picks one untuned.

#include "codegen/group.h"
#include "codegen/lowering.h"

namespace netc {

using ContractionShape = std::variant<Conv2d, Linear>;

/// One implementation on the CPU of a family (`conv2d_forward`, `linear_data_gradient`, ...).
struct Candidate {
  std::string family;
  std::string function; ///< Of codegen/device/cpu; the name in tuning.json.
  std::string header;
  int64_t (*workspace)(const ContractionShape&, int threads); ///< Bytes.
  /// Whether it can and should run this shape untuned; the first of a family that says yes is the
  /// default.
  bool (*preferred)(const ContractionShape&);
};

const std::vector<Candidate>& candidates();

/// The candidate of that name, or the default of the family when `function` is empty. An unknown
/// name raises InternalError.
const Candidate& find_candidate(const std::string& family, const std::string& function,
                                const ContractionShape& shape);

/// The names of all candidates for a contraction, the default first: functions on the CPU; on GPUs
/// tilings of the one template, then libraries.
std::vector<std::string> candidate_names(const ContractionUse& use, const LoweringOptions& options);

/// How the contraction multiplies: as assign-precision wrote it, else as the target does by
/// default.
Precision precision_of(const Node& contraction, const LoweringOptions& options);

LoweredNode lower_contraction(const Node& node, const Group& group, const LoweringOptions& options);

} // namespace netc
