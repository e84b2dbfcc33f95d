// The text of generated kernels, whole, in both dialects: a small network compiled as users compile
// theirs. The text is what they find in a plan's folder, so it is to be read, too.

#include "codegen/program_builder.h"
#include "ir/support/error.h"
#include "tests/support/golden.h"
#include "tools/driver/compile.h"

#include <sstream>

namespace netc::test {
namespace {

const char* const description = R"(
name: small
input: {channels: 3, height: 20, width: 20, stored: 23, mean: channel, crop: random, flip: true}
layers:
  - {name: conv1, type: conv2d, filters: 8, kernel: 5, stride: 3, pad: 1, init: {msra: true}}
  - {name: relu1, type: relu}
  - {name: norm1, type: lrn, n: 3, k: 2, alpha: 1e-4, beta: 0.75, alpha_over_n: false, groups: 2}
  - {name: pool1, type: max_pool2d, kernel: 3, stride: 2, rounding: ceil}
  - {name: conv2, type: conv2d, filters: 8, kernel: 3, pad: 1, groups: 2, init: {msra: true}}
  - {name: fc3, type: linear, features: 10, init: {msra: true}}
  - {name: relu3, type: relu}
  - {name: drop3, type: dropout, rate: 0.5, mode: classic}
  - {name: loss, type: softmax_cross_entropy}
train:
  batch: 128
  optimizer: {type: sgd, rate: 0.01, momentum: 0.9, decay: 5e-4}
  parameters: [{match: "*.bias", rate: 2, decay: 0}]
)";

/// Channels in eights, as the instructions of warpgroups want them.
const char* const even_description = R"(
name: even
input: {channels: 8, height: 20, width: 20}
layers:
  - {name: conv1, type: conv2d, filters: 64, kernel: 3, pad: 1, init: {msra: true}}
  - {name: relu1, type: relu}
  - {name: conv2, type: conv2d, filters: 64, kernel: 3, pad: 1, init: {msra: true}}
  - {name: relu2, type: relu}
  - {name: fc3, type: linear, features: 64, init: {msra: true}}
  - {name: loss, type: softmax_cross_entropy}
train:
  batch: 128
  optimizer: {type: sgd, rate: 0.01, momentum: 0.9, decay: 5e-4}
)";

/// A kernel of the training step, found by what its label says.
struct Sample {
  std::string name; ///< Of the golden file.
  std::string label;
};

void PrintTo(const Sample& sample, std::ostream* out) {
  *out << sample.name;
}

const Sample samples[] = {
    {"input_image", "data: input_image"},
    {"conv_bias_relu", "relu1.fused: conv2d + bias + relu"},
    {"lrn_pool", "pool1.fused: lrn + max_pool2d"},
    {"relu_lrn_pool_gradient", "relu1.grad.fused: max_pool2d_grad + lrn_grad + relu_grad"},
    {"grouped_conv_weight_gradient", "conv2.weight_grad"},
    {"linear_dropout", "drop3.fused: linear + bias + relu + dropout"},
    {"loss", "loss: softmax_cross_entropy"},
    {"top5", "top5: topk_accuracy"},
    {"update", "update: "},
};

KernelSet kernels_for(const Target& target, const char* text = description,
                      std::optional<Precision> precision = {}) {
  Diagnostics diagnostics;
  std::optional<Network> network = parse_network(text, "small.yaml", diagnostics);
  diagnostics.throw_if_errors();
  CompileOptions options;
  options.precision = precision;
  options.target = target;
  options.threads = 2;
  const LoweringOptions lowering = lowering_options(options);
  std::ostringstream dump;
  PassedGraph passed = run_passes(*network, Mode::train, options, lowering, dump);
  KernelSet kernels(target);
  build_program(passed.graph, passed.context.memory, "train", lowering, kernels);
  return kernels;
}

std::string text_of(const KernelSet& kernels, const std::string& label) {
  std::string all;
  for (const KernelSet::Entry& entry : kernels.entries())
    for (const std::string& user : entry.users) {
      if (user.starts_with(label))
        return entry.code.text;
      all += user + "\n";
    }
  ADD_FAILURE() << "no kernel `" << label << "` among\n" << all;
  return {};
}

class KernelText : public testing::TestWithParam<Sample> {};

TEST_P(KernelText, InCuda) {
  const std::string text = text_of(kernels_for(parse_target("cuda:sm_90")), GetParam().label);
  expect_golden("tests/codegen/goldens/" + GetParam().name + ".cu.txt", text);
}

TEST_P(KernelText, InCpp) {
  const std::string text = text_of(kernels_for(parse_target("cpu")), GetParam().label);
  expect_golden("tests/codegen/goldens/" + GetParam().name + ".cpp.txt", text);
}

/// Of other GPUs, contractions show what differs: their tilings, and how memory holds what they
/// read.
TEST(KernelTextOfGpus, ByWarpgroups) {
  const KernelSet kernels =
      kernels_for(parse_target("cuda:sm_90a"), even_description, Precision::bf16);
  for (const auto& [name, label] : {std::pair{"conv_bias_relu", "relu2.fused: "},
                                    std::pair{"conv_data_gradient", "relu1.grad.fused: "},
                                    std::pair{"conv_weight_gradient", "conv2.weight_grad"},
                                    std::pair{"linear", "fc3.add_bias.fused"}})
    expect_golden(fmt::format("tests/codegen/goldens/{}.sm_90a.cu.txt", name),
                  text_of(kernels, label));
}

TEST(KernelTextOfGpus, WithoutMatrixInstructions) {
  const KernelSet kernels = kernels_for(parse_target("cuda:sm_75"));
  for (const auto& [name, label] :
       {std::pair{"conv_bias_relu", "relu1.fused: "}, std::pair{"linear_dropout", "drop3.fused: "}})
    expect_golden(fmt::format("tests/codegen/goldens/{}.sm_75.cu.txt", name),
                  text_of(kernels, label));
}

INSTANTIATE_TEST_SUITE_P(Small, KernelText, testing::ValuesIn(samples),
                         [](const auto& info) { return info.param.name; });

} // namespace
} // namespace netc::test
