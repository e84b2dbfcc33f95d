#include "tools/driver/measure.h"

#include "ir/ops.h"
#include "ir/support/philox.h"
#include "passes/passes.h"
#include "runtime/session.h"
#include "tools/driver/temporary_directory.h"

#include <algorithm>
#include <cmath>

namespace netc {

namespace {

/// Outputs compared with double precision.
constexpr int64_t samples = 64;

/// Fills a feed with numbers of [-1, 1).
std::span<const float> fill(std::span<std::byte> feed, unsigned stream) {
  float* data = reinterpret_cast<float*>(feed.data());
  const size_t count = feed.size() / sizeof(float);
  for (size_t i = 0; i < count; i += 4) {
    Philox4 words =
        philox4x32_10(1, stream_synthetic ^ stream, static_cast<unsigned>(i / 4), 0, 0, 0);
    for (size_t k = 0; k < 4 && i + k < count; ++k)
      data[i + k] = 2 * uniform_unit(words.word[k]) - 1;
  }
  return {data, count};
}

double sampled_error(const Node& node, std::span<const float> a, std::span<const float> b,
                     std::span<const float> result) {
  int64_t count = node.result()->type.elements();
  double difference = 0, norm = 0;
  for (int64_t s = 0; s < samples; ++s) {
    // Spread over the result, the last element included.
    int64_t index = (count - 1) * s / (samples - 1);
    double expected = contraction_element(node, a.data(), b.data(), index);
    double error = result[static_cast<size_t>(index)] - expected;
    difference += error * error;
    norm += expected * expected;
  }
  return std::sqrt(difference / std::max(norm, 1e-300));
}

/// The contraction alone, fed with `a` and `b`.
Graph graph_of(const Node& contraction) {
  Graph graph("trial");
  GraphBuilder builder(graph, contraction.loc);
  std::vector<Value*> operands;
  for (const char* name : {"a", "b"}) {
    const Value& operand = *contraction.operands[operands.size()];
    Value* feed = builder.value(ops::feed, name, {},
                                {{"shape", std::vector<int64_t>(operand.type.shape)},
                                 {"dtype", std::string(to_string(operand.type.dtype))}});
    feed->layout = operand.layout;
    operands.push_back(feed);
  }
  Value* result = builder.value(*contraction.op, "c", operands, contraction.attrs);
  result->layout = contraction.result()->layout;
  graph.outputs.push_back({"c", result});
  return graph;
}

/// A plan of one program, `trial`, of one step; its kernel is in `folder`.
Plan plan_of(const Graph& graph, const Backend& backend, const LoweringOptions& options,
             const std::filesystem::path& folder) {
  auto all = [](const Value&) { return true; };
  PassContext context;
  context.workspace_bytes = [&](const Node& node) -> int64_t {
    return node.op->is_contraction() ? lower(node, all, options).workspace_bytes() : 0;
  };
  Graph planned = graph.clone();
  plan_memory(planned, context);
  KernelSet kernels(options.target, options.exact);
  Plan plan;
  plan.network = "trial";
  plan.target = options.target.str();
  plan.compiler = backend.version;
  plan.machine = backend.machine;
  plan.threads = options.threads;
  plan.programs.push_back(build_program(planned, context.memory, "trial", options, kernels));
  std::vector<CompileJob> jobs = jobs_of(kernels);
  backend.compile(jobs, 1);
  std::filesystem::create_directories(folder / "kernels");
  plan.kernels = place_kernels(kernels, jobs, backend, folder);
  return plan;
}

/// Least time of a run; the first one warms up.
double best_ms(Session& session, double budget_ms) {
  session.profile(true);
  double best = 1e30, before = 0;
  for (int run = 0; run < 3 || before < budget_ms; ++run) {
    session.run("trial");
    double total = 0;
    for (const StepTime& step : session.times("trial"))
      total += step.seconds * 1e3;
    if (run > 0)
      best = std::min(best, total - before);
    before = total;
  }
  return best;
}

} // namespace

MeasureCandidate measure_on(const DeviceSpec& device, const Backend& backend,
                            const LoweringOptions& lowering, double budget_ms) {
  return [=, &backend](const Node& node, const std::string& candidate) {
    LoweringOptions options = lowering;
    options.choose = [&](const Node&) { return candidate; };
    TemporaryDirectory folder("netc-trial");
    const Graph graph = graph_of(node);
    Session session(plan_of(graph, backend, options, folder.path()), folder.path(), device);
    std::span<const float> a = fill(session.feed("trial", "a"), 1);
    std::span<const float> b = fill(session.feed("trial", "b"), 2);
    Trial trial{candidate, best_ms(session, budget_ms), 0};
    trial.relative_error = sampled_error(node, a, b, session.output_of<float>("trial", "c"));
    return trial;
  };
}

} // namespace netc
