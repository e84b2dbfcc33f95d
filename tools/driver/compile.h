#pragma once
// From a description to a plan: frontend, passes, code generation and the system's compiler.

#include "codegen/program_builder.h"
#include "codegen/toolchain.h"
#include "frontend/network.h"
#include "ir/plan.h"
#include "ir/strategy.h"
#include "ir/target.h"
#include "passes/pass.h"
#include "tools/driver/measure.h"
#include "tools/driver/models.h"

#include <filesystem>
#include <iosfwd>
#include <optional>

namespace netc {

struct CompileOptions {
  Target target{};
  std::optional<Precision> precision; ///< Of contractions; none: the target's default.
  int64_t batch = 0;                  ///< 0: the description's.
  bool exact = false;                 ///< `--math exact`.
  int threads = 0;                    ///< 0: all cores.
  bool train = true;            ///< Compile the training step, too, if the network has a loss.
  std::filesystem::path cache;  ///< Empty: default_cache().
  std::string device{};         ///< To measure on; empty: the first that the target is for.
  bool tune = false;            ///< Measure the contractions that the tuning table lacks.
  bool frozen = false;          ///< Fail on such a contraction instead of using the default rule.
  std::filesystem::path tuning; ///< Table to use; empty: the plan's own, if it has one.
  /// How the step is cut over logical devices; none: one device does all.
  std::optional<Strategy> strategy;
  PipelineOptions pipeline;
  int64_t stop_after_rewrite = INT64_MAX;
  bool remarks = true; ///< Tell what layers asked for in vain.
};

/// A checked description with the text it came from.
struct NetworkSource {
  NetworkText file;
  Network network;
};

/// Loads, parses and checks a network. Warnings go to `messages`, errors are a UserError.
NetworkSource load_network(const std::string& net, std::ostream& messages);

/// `batch`, or the description's where that is 0.
int64_t batch_of(const Network& network, int64_t batch);

/// The forward graph for a batch; shape errors are a UserError.
Graph forward_graph(const Network& network, int64_t batch);

/// How nodes are lowered under these options, candidates chosen by the default rule.
LoweringOptions lowering_options(const CompileOptions& options);

/// A graph after (part of) the pipeline, and what the passes did.
struct PassedGraph {
  Graph graph;
  PassContext context;
  std::vector<PassReport> reports;
};
/// `device`: of those that options.strategy cuts the step over, the one whose graph is made.
PassedGraph run_passes(const Network& network, Mode mode, const CompileOptions& options,
                       const LoweringOptions& lowering, std::ostream& dump, int device = 0);

/// A compiled network on disk.
struct Compiled {
  Plan plan;
  std::filesystem::path folder;
  CompileStats stats;
  double seconds = 0;              ///< The whole of it.
  std::vector<PassReport> reports; ///< Of the training graph, or of the inference graph.
  std::vector<LeftOut> left_out;   ///< Libraries that `--tune` did not measure.
};

/// Of a plan for several devices: its strategy, in the folder of the plan.
inline constexpr const char* strategy_file = "strategy.yaml";

/// Compiles into `folder`, replacing a plan that is there (anything else there is a UserError).
/// `dump` gets the graphs that are asked for, and notes.
Compiled compile_network(const NetworkSource& source, const CompileOptions& options,
                         const std::filesystem::path& folder, std::ostream& dump);

/// The layer table of a network.
std::vector<LayerRow> layer_table(const Network& network, int64_t batch);

/// Threads to compile for when the user does not say: the cores this process may use.
int default_threads();

/// Threads of each of several devices that have `threads` (0: all cores) together.
int threads_per_device(int threads, int devices);

} // namespace netc
