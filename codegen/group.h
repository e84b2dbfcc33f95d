#pragma once
// A node or the body of a fused node, seen alike: members over operands and results of the kernel.

#include "ir/lowering.h"

#include <functional>
#include <initializer_list>
#include <set>
#include <unordered_map>

namespace netc {

/// The operators one kernel computes, and how their values meet its buffers.
struct Group {
  std::vector<const Node*> members;   ///< In execution order, without arguments.
  std::vector<const Value*> operands; ///< Of the graph: what the kernel reads.
  std::vector<const Value*> results;  ///< Of the graph: what it writes.
  /// Buffer name of each value that is an operand or result, in terms of the members' values.
  std::unordered_map<const Value*, std::string> buffers;
  std::vector<const Value*> member_results; ///< The members' values behind `results`.
};

/// Names of a kernel's variables and arrays, each given out once.
class LocalNames {
public:
  /// `taken`: what the lowering itself calls its loops and variables.
  LocalNames(std::initializer_list<std::string> taken) : taken_(taken) {}
  /// `base`, or `base` and a number.
  std::string next(const std::string& base);

private:
  std::set<std::string> taken_;
  std::unordered_map<std::string, int> counts_;
};

Group make_group(const Node& node, const std::function<bool(const Value&)>& is_used);

/// The group's buffers as kernel parameters, with their types and layouts.
std::vector<kernel::Param> group_params(const Group& group);

/// The parameters by element rather than by dimension: images as [pixels, channels].
TensorType flat_type(const Value& value);

struct LoweringOptions;

/// Maps and windows: one kernel over the pixels of the last member.
kernel::Kernel lower_pixels(const Group& group, const std::string& name,
                            const LoweringOptions& options);

/// The same for the threads of a GPU, in registers; none where an operator needs arrays of pixels.
std::optional<kernel::Kernel> lower_runs(const Group& group, const std::string& name,
                                         const LoweringOptions& options);

/// Updates: one kernel of a sweep for each. `threads`: as above.
kernel::Kernel lower_updates(const Group& group, const std::string& name, bool threads);

/// The member that sums over pixels what the weight gradient `group.members[0]` multiplies with the
/// images: the gradient of a bias, beside the contraction, not behind it. Null: there is none.
const Node* bias_gradient_of(const Group& group);

/// The maps, or the update, behind the contraction `group.members[0]`, as statements over a run of
/// channels; of the members, the first `computed` are done.
std::vector<kernel::Stmt> lower_epilogue(const Group& group, size_t computed);

} // namespace netc
