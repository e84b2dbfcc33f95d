#include "tools/driver/measure.h"

#include "codegen/library_contraction.h"
#include "ir/ops.h"
#include "ir/support/philox.h"
#include "passes/fusion.h"
#include "runtime/cuda/cuda.h"
#include "runtime/session.h"
#include "tools/driver/temporary_directory.h"
#include "tools/driver/trial_plan.h"

#include <algorithm>
#include <cmath>

namespace netc {

namespace {

/// Outputs compared with double precision.
constexpr int64_t samples = 64;

/// Sets a state tensor to numbers of [-1, 1) and returns them.
std::vector<float> fill(Session& session, const std::string& name, unsigned stream) {
  std::vector<float> numbers;
  session.write_state(name, [&](std::span<float> data) {
    for (size_t i = 0; i < data.size(); i += 4) {
      Philox4 words =
          philox4x32_10(1, stream_synthetic ^ stream, static_cast<unsigned>(i / 4), 0, 0, 0);
      for (size_t k = 0; k < 4 && i + k < data.size(); ++k)
        data[i + k] = 2 * uniform_unit(words.word[k]) - 1;
    }
    numbers.assign(data.begin(), data.end());
  });
  return numbers;
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

/// The contraction, the last step; but for weight gradients with a map behind, as they mostly have,
/// which changes nothing: kernels do it in passing, libraries leave it. The operands are state, `a`
/// and `b`, which all programs of a plan share; they lie as the contraction wants them, or are
/// rounded first as that is used to. The result is f32, also where the plan's is rounded.
Graph graph_of(const Node& contraction) {
  Graph graph("trial");
  GraphBuilder builder(graph, contraction.loc);
  std::vector<Value*> operands;
  for (const char* name : {"a", "b"}) {
    const Value& operand = *contraction.operands[operands.size()];
    Value* state = builder.value(ops::parameter, name, {},
                                 {{"shape", std::vector<int64_t>(operand.type.shape)}});
    state->layout = operand.layout;
    if (operand.storage) {
      state =
          builder.value(ops::scale, fmt::format("{}.rounded", name), {state}, {{"factor", 1.0}});
      state->layout = operand.layout;
      state->storage = operand.storage;
    }
    operands.push_back(state);
  }
  Value* result = builder.value(*contraction.op, "c", operands, contraction.attrs);
  result->layout = contraction.result()->layout;
  graph.outputs.push_back({"c", result});
  if (contraction.op == &ops::conv2d_weight_gradient ||
      contraction.op == &ops::linear_weight_gradient)
    return graph;
  Value* same = builder.value(ops::scale, "same", {result}, {{"factor", 1.0}});
  same->layout = result->layout;
  graph.outputs.front().value = same;
  fuse(graph, {result->node, same->node}, "contraction");
  return graph;
}

/// Least time of the last step of a run; the first run warms up.
double best_ms(Session& session, const std::string& program, double budget_ms) {
  session.profile(true);
  double best = 1e30, before = 0;
  for (int run = 0; run < 3 || before < budget_ms; ++run) {
    session.run(program);
    const double total = session.times(program).back().seconds * 1e3;
    if (run > 0)
      best = std::min(best, total - before);
    before = total;
  }
  return best;
}

/// Runs the candidates, each a program of one plan.
std::vector<Trial> run_trials(const Node& node, const std::vector<std::string>& names,
                              const DeviceSpec& device, const Backend& backend,
                              const LoweringOptions& lowering, double budget_ms) {
  TemporaryDirectory folder("netc-trial");
  Graph graph = graph_of(node);
  std::vector<TrialProgram> programs;
  for (const std::string& name : names)
    programs.push_back({name, {&graph}, [name](const Node&) { return name; }});
  Session session(trial_plan(graph.name, programs, backend, lowering, folder.path()), folder.path(),
                  device);
  const std::vector<float> a = fill(session, "a", 1), b = fill(session, "b", 2);
  std::vector<Trial> trials;
  for (const std::string& name : names) {
    const double ms = best_ms(session, name, budget_ms);
    trials.push_back({name, ms, sampled_error(node, a, b, session.output_of<float>(name, "c"))});
  }
  return trials;
}

} // namespace

MeasureCandidates measure_on(const DeviceSpec& device, const Backend& backend,
                             const LoweringOptions& lowering, double budget_ms) {
  return [=, &backend](const Node& node, const std::vector<std::string>& names) {
    std::vector<std::string> own, libraries;
    for (const std::string& name : names)
      if (!is_library(name))
        own.push_back(name);
      else if (has_library(name))
        libraries.push_back(name);
    std::vector<Trial> trials = run_trials(node, own, device, backend, lowering, budget_ms);
    for (const std::string& library : libraries)
      try {
        trials.push_back(run_trials(node, {library}, device, backend, lowering, budget_ms).front());
      } catch (const RuntimeError&) { // it cannot do this: the others compete
      }
    return trials;
  };
}

} // namespace netc
