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
#include <set>

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

/// A result's elements at some indices, as they should be. They are computed once for all
/// candidates, whose kernels take less time.
class Samples {
public:
  /// The relative error of a result against expected(index).
  template <class Expected> double error(std::span<const float> result, Expected expected) {
    const int64_t last = static_cast<int64_t>(result.size()) - 1;
    double difference = 0, norm = 0;
    for (int64_t s = 0; s < samples; ++s) {
      const int64_t index = last * s / (samples - 1); // spread over the result, the last included
      if (wanted_.size() == static_cast<size_t>(s))
        wanted_.push_back(expected(index));
      const double wanted = wanted_[static_cast<size_t>(s)];
      const double off = result[static_cast<size_t>(index)] - wanted;
      difference += off * off;
      norm += wanted * wanted;
    }
    return std::sqrt(difference / std::max(norm, 1e-300));
  }

private:
  std::vector<double> wanted_;
};

/// The outputs of the programs of trial_graph(use), computed of `a` and `b`.
class TrialOutputs {
public:
  TrialOutputs(const ContractionUse& use, std::span<const float> a, std::span<const float> b)
      : use_(use), a_(a), b_(b) {}

  /// The larger error of those that a program computed.
  double error(Session& session, const std::string& program) {
    const double error = results_.error(session.output_of<float>(program, "c"), [&](int64_t index) {
      return contraction_element(use_.node, a_.data(), b_.data(), index);
    });
    if (!use_.bias_gradient)
      return error;
    const auto sums = session.output_of<float>(program, "sums");
    return std::max(error, sums_.error(sums, [&](int64_t channel) {
      double sum = 0;
      for (size_t i = static_cast<size_t>(channel); i < b_.size(); i += sums.size())
        sum += b_[i];
      return sum;
    }));
  }

private:
  const ContractionUse& use_;
  std::span<const float> a_, b_;
  Samples results_, sums_;
};

} // namespace

Graph trial_graph(const ContractionUse& use) {
  const Node& contraction = use.node;
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
  auto copy_of = [&](Value* value, const char* name) {
    Value* copy = builder.value(ops::scale, name, {value}, {{"factor", 1.0}});
    copy->layout = value->layout;
    graph.outputs.assign(1, {"c", copy});
    return copy;
  };
  graph.outputs.push_back({"c", result});
  if (contraction.op != &ops::conv2d_weight_gradient &&
      contraction.op != &ops::linear_weight_gradient) {
    Value* same = copy_of(result, "same");
    result = fuse(graph, {result->node, same->node}, "contraction")->result();
  } else if (use.bias_gradient) {
    Value* sums = builder.value(ops::channel_sum, "sums", {operands[1]});
    graph.outputs.push_back({"sums", sums});
    result = fuse(graph, {result->node, sums->node}, "contraction", result->node)->result();
  }
  if (is_rounded(use.written)) {
    result->storage = use.written;
    copy_of(result, "c.read");
  }
  return graph;
}

namespace {

/// Least time of the contraction's step of a run; the first run warms up. `behind`: steps that
/// follow it.
double best_ms(Session& session, const std::string& program, size_t behind, double budget_ms) {
  session.profile(true);
  double best = 1e30, before = 0;
  for (int run = 0; run < 3 || before < budget_ms; ++run) {
    session.run(program);
    const std::span<const StepTime> steps = session.times(program);
    const double total = steps[steps.size() - 1 - behind].seconds * 1e3;
    if (run > 0)
      best = std::min(best, total - before);
    before = total;
  }
  return best;
}

/// Runs the candidates, each a program of one plan.
std::vector<Trial> run_trials(const ContractionUse& use, const std::vector<std::string>& names,
                              const DeviceSpec& device, const Backend& backend,
                              const LoweringOptions& lowering, double budget_ms) {
  TemporaryDirectory folder("netc-trial");
  Graph graph = trial_graph(use);
  std::vector<TrialProgram> programs;
  for (const std::string& name : names)
    programs.push_back({name, {&graph}, [name](const ContractionUse&) { return name; }});
  Session session(trial_plan(graph.name, programs, backend, lowering, folder.path()), folder.path(),
                  device);
  const std::vector<float> a = fill(session, "a", 1), b = fill(session, "b", 2);
  TrialOutputs outputs(use, a, b);
  std::vector<Trial> trials;
  for (const std::string& name : names) {
    const double ms = best_ms(session, name, is_rounded(use.written) ? 1 : 0, budget_ms);
    trials.push_back({name, ms, outputs.error(session, name)});
  }
  return trials;
}

} // namespace

MeasureCandidates measure_on(const DeviceSpec& device, const Backend& backend,
                             const LoweringOptions& lowering, double budget_ms,
                             const ReportLeftOut& left_out) {
  auto leave_out = [left_out, told = std::set<LeftOut>()](const LeftOut& library) mutable {
    if (told.insert(library).second)
      left_out(library);
  };
  return [=, &backend](const ContractionUse& use, const std::vector<std::string>& names) mutable {
    std::vector<std::string> own, libraries;
    for (const std::string& name : names)
      (is_library(name) ? libraries : own).push_back(name);
    auto measure = [&](const std::vector<std::string>& list) {
      return run_trials(use, list, device, backend, lowering, budget_ms);
    };
    std::vector<Trial> trials = measure(own);
    for (const std::string& library : libraries)
      try {
        if (const std::string problem = library_problem(library); !problem.empty())
          leave_out({library, problem});
        else
          trials.push_back(measure({library}).front());
      } catch (const LibraryError& error) { // it cannot do this: the others compete
        leave_out({library, error.reason()});
      } catch (const RuntimeError& error) {
        leave_out({library, error.what()});
      }
    return trials;
  };
}

} // namespace netc
