#pragma once
// An ordered, planned graph to a Program and the distinct kernels it launches.

#include "codegen/compile_jobs.h"
#include "codegen/printer.h"
#include "ir/memory_plan.h"
#include "ir/program.h"

namespace netc {

/// The distinct kernels of a plan, in the dialect of its target. Equal text is one kernel.
class KernelSet {
public:
  struct Entry {
    std::string name;
    std::string implementation;
    std::string precision;                ///< Of a contraction; else empty.
    std::optional<LibraryCall> library{}; ///< Before the kernel's entries.
    KernelText code;
    std::vector<std::string> users; ///< "layer (file:line:col)" of each step that launches it.
  };
  explicit KernelSet(Target target = {}, bool exact = false)
      : target_(std::move(target)), exact_(exact) {}
  /// Adds the kernel of a step and returns its name.
  std::string add(const LoweredNode& lowered, const std::string& label, const Loc& loc);
  const std::vector<Entry>& entries() const { return entries_; }
  bool exact() const { return exact_; }

private:
  Target target_;
  bool exact_;
  std::vector<Entry> entries_;
};

/// What compiles the kernels, in their order.
std::vector<CompileJob> jobs_of(const KernelSet& kernels);

/// Builds the program of `graph` (after plan-memory) on a logical device; its kernels join
/// `kernels`.
Program build_program(const Graph& graph, const MemoryPlan& memory, const std::string& name,
                      const LoweringOptions& options, KernelSet& kernels, int device = 0);

/// The state tensors of a graph, whole where the graph has a part of them.
std::vector<StateInit> state_of(const Graph& graph);
/// Those of the graphs of several devices, each once.
std::vector<StateInit> state_of(const std::vector<const Graph*>& devices);

} // namespace netc
