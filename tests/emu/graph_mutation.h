#pragma once
// Graphs as subjects of mutation.

#include "tests/emu/mutation.h"
#include "tests/support/op_harness.h"
#include "tests/support/random_network.h"
#include "tests/support/run_graph.h"

namespace netc {

/// Without guards: the emulator knows where a buffer ends.
inline test::RunOptions emu_options(bool fuse, Precision precision = Precision::fp32) {
  return {.target = parse_target("emu"), .precision = precision, .fuse = fuse, .guards = false};
}

/// The same, in blocks of pixels though there are few.
inline test::RunOptions blocks_on_emu() {
  test::RunOptions options = emu_options(true);
  options.busy_threads = 0;
  return options;
}

/// A graph as `prepare` has it after the passes, against its interpretation. The tolerance of f32
/// is that of gradients, of TF32 that of contractions (tests/support/op_checks.cpp).
inline Subject
graph_subject(const std::string& name, const test::RunOptions& options,
              const std::function<test::PreparedGraph(const test::RunOptions&)>& prepare,
              const test::Tensors& inputs) {
  const test::Tensors want = test::interpret_outputs(prepare(options).graph, inputs);
  return {name, options.precision == Precision::fp32 ? 1e-5 : 1e-3, [=](const EditText& edit) {
            test::RunOptions edited = options;
            edited.edit = edit;
            const test::Tensors got = test::compile(prepare(options), edited).run(inputs);
            double worst = 0;
            for (const auto& [output, tensor] : want)
              worst = std::max(worst, test::relative_error(got.at(output), tensor));
            return worst;
          }};
}

/// An operator and its gradient, a kernel each. `exact`: as with `--math exact`.
inline Subject operator_subject(const std::string& name, const test::OpCase& description,
                                bool exact = false) {
  const auto built = std::make_shared<test::CaseGraph>(test::build_cases({description}));
  test::RunOptions as_case = emu_options(false);
  as_case.exact = exact;
  return graph_subject(
      name, as_case,
      [=](const test::RunOptions& options) { return test::prepare_graph(built->graph, options); },
      built->inputs);
}

/// What a feed or a parameter is.
inline Attributes tensor(std::vector<int64_t> shape, const char* dtype = "f32") {
  return {{"shape", std::move(shape)}, {"dtype", std::string(dtype)}};
}

/// A step of training of a forward graph, fused. `draws`: of inputs that are not to be as
/// `random_inputs` has them.
inline Subject training_subject(const std::string& name, Graph forward,
                                const OptimizerSpec& optimizer,
                                const std::map<std::string, test::Draw>& draws,
                                const test::RunOptions& options = emu_options(true)) {
  const auto shared = std::make_shared<Graph>(std::move(forward));
  const auto prepare = [=](const test::RunOptions& as) {
    return test::prepare_training(*shared, optimizer, as);
  };
  test::Random random(1);
  test::Tensors inputs = test::random_inputs(prepare(options).graph, random);
  for (const auto& [input, how] : draws)
    inputs.at(input) = test::draw(inputs.at(input).type, how, random);
  return graph_subject(name, options, prepare, inputs);
}

} // namespace netc
