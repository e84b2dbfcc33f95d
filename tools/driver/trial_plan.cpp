#include "tools/driver/trial_plan.h"

#include "passes/passes.h"
#include "tools/driver/compile.h"

namespace netc {

namespace {

Program program_of(Graph& graph, const std::string& name, const LoweringOptions& options,
                   KernelSet& kernels, int device) {
  PassContext context;
  context.workspace_bytes = [&](const Node& node) -> int64_t {
    auto all = [](const Value&) { return true; };
    return node.op->is_contraction() || node.body ? lower(node, all, options).workspace_bytes() : 0;
  };
  plan_memory(graph, context);
  return build_program(graph, context.memory, name, options, kernels, device);
}

} // namespace

Plan trial_plan(const std::string& name, const std::vector<TrialProgram>& programs,
                const Backend& backend, const LoweringOptions& lowering,
                const std::filesystem::path& folder) {
  KernelSet kernels(lowering.target, lowering.exact);
  Plan plan;
  plan.network = name;
  plan.target = lowering.target.str();
  plan.compiler = backend.version;
  plan.machine = backend.machine;
  plan.threads = lowering.threads;
  std::vector<const Graph*> all;
  for (const TrialProgram& program : programs) {
    LoweringOptions options = lowering;
    options.choose = program.choose;
    plan.devices = static_cast<int>(program.graphs.size());
    for (int device = 0; device < plan.devices; ++device) {
      Graph& graph = *program.graphs[static_cast<size_t>(device)];
      plan.programs.push_back(program_of(graph, program.name, options, kernels, device));
      all.push_back(&graph);
    }
  }
  plan.state = state_of(all);
  plan.kernels = compile_kernels(kernels, backend, default_threads(), folder);
  return plan;
}

} // namespace netc
