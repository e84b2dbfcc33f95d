#pragma once
// What a pass is, and the wrapper that runs, checks, times and prints all of them.

#include "ir/graph.h"
#include "ir/memory_plan.h"
#include "ir/recipe.h"
#include "ir/target.h"

#include <functional>
#include <iosfwd>
#include <set>

namespace netc {

enum class Mode { train, infer };

struct PartitionSpecification;

/// The forward node that each node of a backward pass belongs to.
using GradientOrigins = std::unordered_map<const Node*, const Node*>;

/// A layer that does not multiply as its description asks.
struct DeniedPrecision {
  std::string layer;
  Precision asked;
  bool operator==(const DeniedPrecision&) const = default;
};

/// What passes know besides the graph. One context serves one graph.
struct PassContext {
  Mode mode = Mode::train;
  Target target{};                       ///< What the graph is compiled for.
  Precision precision = Precision::fp32; ///< Of contractions whose layer asks for none.
  bool exact = false;                    ///< Sums have one order, on every target, in fp32.
  OptimizerSpec optimizer;
  /// Scratch bytes the kernel of a node needs; injected by the driver from codegen. Null: none.
  std::function<int64_t(const Node&)> workspace_bytes;
  GradientOrigins origins;                        ///< Filled by autodiff.
  MemoryPlan memory;                              ///< Filled by plan-memory.
  std::vector<DeniedPrecision> denied_precisions; ///< Filled by assign-precision.
  /// How the step is cut over devices, and which of them the graph becomes that of; null: one
  /// device does all.
  const PartitionSpecification* partition = nullptr;
  int device = 0;

  /// Rewrites of passes that may be left out that may still happen (`--stop-after-rewrite`).
  int64_t rewrites_left = INT64_MAX;
  /// Such a pass asks before each rewrite; false: leave the rest as it is.
  bool may_rewrite() { return rewrites_left > 0 && rewrites_left-- > 0; }
};

/// A pass rewrites the graph in place and returns how many rewrites it made.
struct Pass {
  std::string name; ///< On the command line, in dumps, goldens and profiles.
  int (*run)(Graph&, PassContext&);
  std::string doc;
  bool required = false; ///< Cannot be skipped: later stages rely on it.
};

/// The pipeline, in order.
const std::vector<Pass>& pipeline();

struct PipelineOptions {
  std::set<std::string> print_after{}; ///< Pass names, or `all`.
  std::string stop_after{};
  std::set<std::string> skip{};
  bool verify_each = false;
  /// Called with the graph after each pass that ran (for drawings and dumps); may be null.
  std::function<void(const Pass&, const Graph&)> after{};
};

struct PassReport {
  std::string name;
  int rewrites;
  double seconds;
  size_t nodes; ///< In the graph after the pass.
};

/// Runs the pipeline on `graph`. `dump` receives what print_after asks for. Unknown pass names and
/// skipping a required pass raise UserError.
std::vector<PassReport> run_pipeline(Graph& graph, PassContext& context,
                                     const PipelineOptions& options, std::ostream& dump);

} // namespace netc
