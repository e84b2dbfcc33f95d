// The kernels of the bundled networks, training and inference, compiled by NVRTC for every kind of
// GPU: no spilled registers, no block larger than the GPU allows. It needs no GPU.

#include "tests/codegen/nvrtc_matrix.h"

#include <algorithm>

namespace netc::test {
namespace {

/// The kernels as a plan of the description's batch holds them.
KernelSet kernels_of(const std::string& model, const Target& target, const MathMode& mode) {
  CompileOptions options;
  options.target = target;
  options.exact = mode.exact;
  options.precision = mode.precision;
  const LoweringOptions lowering = lowering_options(options);
  const Network network = load_network(model, std::cerr).network;
  KernelSet kernels(target, mode.exact);
  for (Mode program : {Mode::train, Mode::infer}) {
    PassedGraph passed = run_passes(network, program, options, lowering, std::cerr);
    build_program(passed.graph, passed.context.memory, "test", lowering, kernels);
  }
  return kernels;
}

std::string identifier(const std::string& name) {
  std::string text = name;
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
  return text;
}

void register_network(const std::string& suite, const std::string& model, const std::string& arch,
                      const MathMode& mode) {
  const std::string what = model + " " + arch + " " + mode.name;
  register_nvrtc_test(suite, identifier(what), [=](const NvrtcToolchain& nvrtc) {
    const Target target = parse_target("cuda:" + arch);
    expect_compile(nvrtc, what, kernels_of(model, target, mode), target, mode.exact);
  });
}

/// What the normal suite compiles: what users get by default on GPUs that differ, and exact mode.
bool is_usual(const Target& target, const MathMode& mode) {
  if (mode.exact)
    return target.arch == "sm_90a";
  return mode.precision == default_precision(target) && target.arch != "sm_90"; // H100s: sm_90a
}

void register_all(const std::string& suite, const std::string& model, const std::string& arch) {
  const Target target = parse_target("cuda:" + arch);
  for (const MathMode& mode : math_modes(target))
    register_network(suite + (is_usual(target, mode) ? "" : "Slow"), model, arch, mode);
}

const bool registered = [] {
  for (const char* arch : matrix_archs)
    register_all("NvrtcAlexNet", "alexnet", arch);
  for (const std::string& file : bundled_models())
    if (file != "alexnet.yaml")
      register_all("NvrtcModels", file.substr(0, file.find('.')), "sm_90a");
  return true;
}();

} // namespace
} // namespace netc::test
