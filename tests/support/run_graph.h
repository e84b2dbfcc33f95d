#pragma once
// Runs a graph as the user's program would: passes, kernels, the system's compiler, a plan on disk,
// a session. What the harness of the operators and the tests of whole networks stand on.

#include "codegen/lowering.h"
#include "ir/target.h"
#include "passes/pass.h"
#include "tests/support/interpret.h"

#include <filesystem>
#include <functional>

namespace netc::test {

struct RunOptions {
  Target target = parse_target("cpu");
  Precision precision = default_precision(target); ///< `--precision`.
  bool exact = false;                              ///< `--math exact`.
  bool fuse = false;                               ///< Run the fusing passes, too.
  int64_t rewrites = INT64_MAX;                    ///< `--stop-after-rewrite`.
  /// Every buffer gets a place of its own with a guard band behind it; else the planned places.
  bool guards = true;
  int threads = 2;                                       ///< The plan's.
  int64_t busy_threads = LoweringOptions{}.busy_threads; ///< As of LoweringOptions.
  /// What becomes of each kernel's text before it is compiled; null: nothing.
  std::function<std::string(const std::string&)> edit{};
};

/// A graph compiled to a plan in a folder of its own, which goes with the object.
class CompiledGraph {
public:
  /// `graph` has been through the passes, `context` is theirs.
  CompiledGraph(Graph graph, PassContext context, const RunOptions& options);
  ~CompiledGraph();
  CompiledGraph(CompiledGraph&&) = default;

  /// Loads the plan and runs it once, on at most `threads` threads (0: the plan's). Takes feeds and
  /// parameters by name and gives the outputs in logical order, and the parameters that are stored
  /// under their names. All memory but the inputs is NaN before the run, and a write behind a
  /// buffer fails the test.
  Tensors run(const Tensors& inputs, int threads = 0) const;

  const Graph& graph() const { return graph_; } ///< After the passes.

private:
  Graph graph_;
  RunOptions options_;
  std::filesystem::path folder_;
};

/// A graph after the passes.
struct PreparedGraph {
  Graph graph;
  PassContext context;
};

/// Takes a copy of `graph` as it stands through the last passes: layouts, fusing when asked for,
/// order, memory.
PreparedGraph prepare_graph(const Graph& graph, const RunOptions& options);

/// Takes a copy of a forward graph with the output `loss` through the whole pipeline as a training
/// step, verified after each pass; skips the fusing passes unless `options.fuse`.
PreparedGraph prepare_training(const Graph& forward, const OptimizerSpec& optimizer,
                               const RunOptions& options);

inline CompiledGraph compile(PreparedGraph prepared, const RunOptions& options) {
  return {std::move(prepared.graph), std::move(prepared.context), options};
}

/// Checks, for every node of a graph that has been through the passes, that its kernel verifies,
/// for CPUs and GPUs, and that the kernel's text parses back.
void expect_sound_kernels(const Graph& graph, bool exact);

} // namespace netc::test
