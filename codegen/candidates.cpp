#include "codegen/candidates.h"

#include "codegen/cuda_contraction.h"
#include "codegen/library_contraction.h"
#include "codegen/tuning.h"

namespace netc {

namespace {

const Conv2d& conv(const ContractionShape& shape) {
  return std::get<Conv2d>(shape);
}
const Linear& lin(const ContractionShape& shape) {
  return std::get<Linear>(shape);
}
bool always(const ContractionShape&) {
  return true;
}

} // namespace

const std::vector<Candidate>& candidates() {
  static const std::vector<Candidate> table = {
      {"conv2d_forward", "conv2d_forward", "conv2d.h",
       [](const ContractionShape& s, int t) -> int64_t {
         return conv2d_forward_workspace(conv(s), t);
       },
       always},
      {"conv2d_data_gradient", "conv2d_data_gradient", "conv2d.h",
       [](const ContractionShape& s, int t) -> int64_t {
         return conv2d_data_gradient_workspace(conv(s), t);
       },
       always},
      {"conv2d_weight_gradient", "conv2d_weight_gradient", "conv2d_weight_gradient.h",
       [](const ContractionShape& s, int t) -> int64_t {
         return conv2d_weight_gradient_workspace(conv(s), t);
       },
       always},
      // Vectors along the batch need one; a single image is a sum over the weights' rows. Exact
      // sums have one order for every batch: devices may hold less of it than all.
      {"linear_forward", "linear_forward_dot", "linear.h",
       [](const ContractionShape& s, int t) -> int64_t {
         return linear_forward_dot_workspace(lin(s), t);
       },
       [](const ContractionShape& s) { return lin(s).batch < 8 && lin(s).exact_blocks == 0; }},
      {"linear_forward", "linear_forward", "linear.h",
       [](const ContractionShape& s, int t) -> int64_t {
         return linear_forward_workspace(lin(s), t);
       },
       always},
      {"linear_data_gradient", "linear_data_gradient", "linear_gradients.h",
       [](const ContractionShape& s, int t) -> int64_t {
         return linear_data_gradient_workspace(lin(s), t);
       },
       always},
      {"linear_weight_gradient", "linear_weight_gradient", "linear_gradients.h",
       [](const ContractionShape& s, int t) -> int64_t {
         return linear_weight_gradient_workspace(lin(s), t);
       },
       always},
  };
  return table;
}

namespace {

/// All candidates of the family, the default first.
std::vector<const Candidate*> candidates_for(const std::string& family,
                                             const ContractionShape& shape) {
  std::vector<const Candidate*> list;
  for (const Candidate& candidate : candidates())
    if (candidate.family == family) {
      bool first = candidate.preferred(shape) && (list.empty() || !list.front()->preferred(shape));
      list.insert(first ? list.begin() : list.end(), &candidate);
    }
  return list;
}

} // namespace

std::vector<std::string> candidate_names(const ContractionUse& use,
                                         const LoweringOptions& options) {
  const std::string& family = std::get<TemplateLowering>(use.node.op->lower).name;
  const ContractionShape shape = contraction_shape(use, options.exact);
  std::vector<std::string> names;
  if (options.target.has_cuda_text())
    for (const Tiling& tiling : cuda_tilings(family, shape, precision_of(use.node, options),
                                             is_rounded(use.node), options.target))
      names.push_back(tiling_name(tiling));
  else
    for (const Candidate* candidate : candidates_for(family, shape))
      names.push_back(candidate->function);
  const std::vector<std::string> libraries = library_candidates(use, options);
  names.insert(names.end(), libraries.begin(), libraries.end());
  return names;
}

const Candidate& find_candidate(const std::string& family, const std::string& function,
                                const ContractionShape& shape) {
  std::vector<const Candidate*> list = candidates_for(family, shape);
  NETC_CHECK(!list.empty(), "no template for `{}`", family);
  if (function.empty())
    return *list.front();
  for (const Candidate* candidate : list)
    if (candidate->function == function)
      return *candidate;
  internal_error(__FILE__, __LINE__, fmt::format("`{}` has no candidate `{}`", family, function));
}

} // namespace netc
