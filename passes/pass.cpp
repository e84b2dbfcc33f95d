#include "passes/pass.h"

#include "passes/passes.h"

#include <algorithm>
#include <chrono>
#include <ostream>

namespace netc {

const std::vector<Pass>& pipeline() {
  static const std::vector<Pass> passes = {
      {"canonicalize", canonicalize,
       "local simplifications; at inference, replaces what differs from training", true},
      {"fold-constants", fold_constants, "computes what depends on constants alone"},
      {"cse", eliminate_common_subexpressions, "computes equal nodes once"},
      {"dce", eliminate_dead_code, "removes what no output or store needs"},
      {"space-to-depth", space_to_depth,
       "for GPUs, the input's strided convolution becomes one over blocks of pixels"},
      {"autodiff", autodiff, "appends gradients and the update of each trainable parameter", true},
      {"assign-precision", assign_precision, "chooses how each contraction multiplies", true},
      {"assign-layouts", assign_layouts, "chooses how images lie in memory", true},
      {"partition", partition, "cuts the step over devices and keeps the share of one of them",
       true},
      {"fuse-windows", fuse_windows, "chains of maps and windows become one kernel"},
      {"fuse-epilogue", fuse_epilogue, "maps behind a contraction join its kernel"},
      {"fuse-updates", fuse_updates,
       "updates become one kernel; on GPUs those of linear layers join the gradients"},
      {"assign-storage", assign_storage,
       "what contractions round is rounded once, by who writes it, and in bf16 takes half the "
       "memory"},
      {"fuse-bias-gradients", fuse_bias_gradients,
       "on GPUs a bias's gradient joins the gradient of the weights that reads the same"},
      {"order", order_nodes, "orders nodes so that less is alive at once", true},
      {"plan-memory", plan_memory, "gives each value a place in one static arena", true},
  };
  return passes;
}

namespace {

void check_names(const PipelineOptions& options) {
  std::vector<std::string> names;
  for (const Pass& pass : pipeline())
    names.push_back(pass.name);
  auto check = [&](const std::string& name, const char* flag) {
    if (std::find(names.begin(), names.end(), name) == names.end())
      user_error(
          fmt::format("{} `{}`: there is no such pass{}", flag, name, did_you_mean(name, names)),
          "`netc passes` lists them");
  };
  for (const std::string& name : options.print_after)
    if (name != "all")
      check(name, "--print-after");
  for (const std::string& name : options.skip)
    check(name, "--skip");
  if (!options.stop_after.empty())
    check(options.stop_after, "--stop-after");
  for (const Pass& pass : pipeline())
    if (pass.required && options.skip.count(pass.name))
      user_error(fmt::format("--skip `{}`: this pass is needed by all that follows", pass.name));
}

/// Runs one pass; a broken invariant names the pass.
int run_pass(const Pass& pass, Graph& graph, PassContext& context, bool check) {
  try {
    int rewrites = pass.run(graph, context);
    if (check)
      verify(graph);
    return rewrites;
  } catch (const InternalError& error) {
    throw InternalError(fmt::format("in pass `{}`: {}", pass.name, error.what()));
  }
}

} // namespace

std::vector<PassReport> run_pipeline(Graph& graph, PassContext& context,
                                     const PipelineOptions& options, std::ostream& dump) {
  using Clock = std::chrono::steady_clock;
  check_names(options);
  std::vector<PassReport> reports;
  for (const Pass& pass : pipeline()) {
    if (!options.skip.count(pass.name)) {
      auto start = Clock::now();
      int rewrites = run_pass(pass, graph, context, options.verify_each);
      reports.push_back({pass.name, rewrites,
                         std::chrono::duration<double>(Clock::now() - start).count(),
                         graph.nodes.size()});
      if (options.print_after.count(pass.name) || options.print_after.count("all"))
        dump << "// after " << pass.name << "\n" << print(graph);
      if (options.after)
        options.after(pass, graph);
    }
    if (pass.name == options.stop_after)
      break;
  }
  return reports;
}

} // namespace netc
