// The kernels of the bundled networks, training and inference, compiled by NVRTC for every kind of
// GPU: no spilled registers, no block larger than the GPU allows. It needs no GPU.

#include "codegen/candidates.h"
#include "tests/codegen/nvrtc_matrix.h"
#include "tests/support/tilings.h"

#include <algorithm>

namespace netc::test {
namespace {

/// The kernels as a plan of the description's batch holds them. `choose`: null, or gets the names
/// of a contraction's candidates and returns that of one, or nothing for the default.
KernelSet kernels_of(const std::string& model, const Target& target, const MathMode& mode,
                     const std::function<std::string(std::vector<std::string>)>& choose = nullptr) {
  CompileOptions options;
  options.target = target;
  options.exact = mode.exact;
  options.precision = mode.precision;
  LoweringOptions lowering = lowering_options(options);
  const LoweringOptions plain = lowering;
  if (choose)
    lowering.choose = [&](const ContractionUse& use) {
      return choose(candidate_names(use, plain));
    };
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

/// What the normal suite compiles: what users get by default on every GPU; on sm_90a exact mode,
/// too, and all precisions of AlexNet.
bool is_usual(const std::string& model, const Target& target, const MathMode& mode) {
  if (target.arch == "sm_90a" && (mode.exact || model == "alexnet"))
    return true;
  return !mode.exact && mode.precision == default_precision(target);
}

void register_all(const std::string& suite, const std::string& model, const std::string& arch) {
  const Target target = parse_target("cuda:" + arch);
  for (const MathMode& mode : math_modes(target))
    register_network(suite + (is_usual(model, target, mode) ? "" : "Slow"), model, arch, mode);
}

/// How many kinds of tilings are compiled besides those that plans have by default: with the
/// instructions of warpgroups, some are where ptxas finds reasons to let products wait.
constexpr size_t other_kinds = 6;

/// Kernels with the best tiling of one size and kind after the other, as tuning might find them
/// fastest. Those may spill; the default ones are compiled elsewhere.
void register_candidates(const std::string& model, const MathMode& mode) {
  const Target target = parse_target("cuda:sm_90a");
  for (size_t kind = 1; kind <= other_kinds; ++kind) {
    const std::string what = fmt::format("{} sm_90a {} kind {}", model, mode.name, kind);
    const bool usual = mode.precision == default_precision(target) && kind <= 2;
    register_nvrtc_test(usual ? "NvrtcCandidates" : "NvrtcCandidatesSlow", identifier(what),
                        [=](const NvrtcToolchain& nvrtc) {
                          int others = 0;
                          auto choose = [&](const std::vector<std::string>& names) {
                            const auto kinds = one_of_each(names, kind + 1);
                            others += kinds.size() > kind;
                            return kinds.size() > kind ? kinds.back() : std::string();
                          };
                          expect_compile(nvrtc, what, kernels_of(model, target, mode, choose),
                                         target, true);
                          EXPECT_GT(others, 0) << "no contraction has so many kinds";
                        });
  }
}

const bool registered = [] {
  for (const char* arch : matrix_archs)
    register_all("NvrtcAlexNet", "alexnet", arch);
  for (Precision precision : {Precision::tf32, Precision::x3tf32, Precision::bf16})
    register_candidates("alexnet", {std::string(to_string(precision)), precision});
  for (const std::string& file : bundled_models())
    if (file != "alexnet.yaml")
      register_all("NvrtcModels", file.substr(0, file.find('.')), "sm_90a");
  return true;
}();

} // namespace
} // namespace netc::test
