// Whole kernels that call a library: their entries on the emulator, the library's part by its
// stand-in, against double precision.

#include "codegen/candidates.h"
#include "codegen/library_contraction.h"
#include "codegen/tuning.h"
#include "runtime/cuda/cublaslt.h"
#include "runtime/cuda/cudnn.h"
#include "tests/emu/kernel_memory.h"
#include "tests/passes/pass_support.h"
#include "tests/support/rounding.h"

namespace netc::test {
namespace {

std::vector<std::string> stand_in(const std::string& library) {
  return {(binary_root() / ("stand-ins/lib" + library + "_stand_in.so")).string()};
}

/// Has the library compute its part, in memory that is aligned as an arena.
void run_product(const LoweredNode& kernel, KernelMemory& memory) {
  static const cuda::CublasLtHandle cublaslt(stand_in("cublaslt"));
  static const cuda::CudnnHandle cudnn(stand_in("cudnn"));
  const LibraryCall& call = *kernel.contraction->library;
  const Precision precision = kernel.contraction->precision;
  std::deque<Guarded> copies;
  std::vector<void*> parameters;
  for (int i = 0; i < memory.parameters(); ++i) {
    const Floats& values = memory.at(i);
    parameters.push_back(copies.emplace_back(static_cast<long>(values.size() * 4)).data());
    if (i < static_cast<int>(kernel.operands.size()) || i == call.second)
      std::copy(values.begin(), values.end(), copies.back().data());
  }
  if (call.library == "cudnn")
    cuda::Convolution(cudnn, call, precision, "kernel").run(parameters, nullptr);
  else
    cuda::MatrixProduct(cublaslt, call, precision, "kernel").run(parameters, nullptr);
  memory.write(call.result, copies[static_cast<size_t>(call.result)].copy());
}

/// Runs what the plan would have a GPU run.
void run(const LoweredNode& kernel, KernelMemory& memory) {
  int entry = 0;
  for (; entry < kernel.contraction->library->entries_before; ++entry)
    memory.run(entry);
  run_product(kernel, memory);
  for (; entry < memory.entries(); ++entry)
    memory.run(entry);
}

/// A training step, with everything of a convolution: groups, strides, dilation, pads, odd sizes.
Graph training_step(const std::string& precision, const std::string& stop_after,
                    const std::string& target = "cuda:sm_90") {
  Graph graph = forward_of(R"(name: n
input: {channels: 3, height: 11, width: 8}
layers:
  - {name: first, type: conv2d, filters: 6, kernel: [3, 2], stride: [2, 1], pad: [1, 0]}
  - {name: relu, type: relu}
  - {name: groups, type: conv2d, filters: 8, kernel: 3, pad: 2, dilation: 2, groups: 2}
  - {name: points, type: conv2d, filters: 5, kernel: 1}
  - {name: wide, type: linear, features: 12}
  - {name: relu2, type: relu}
  - {name: last, type: linear, features: 4}
  - {name: loss, type: softmax_cross_entropy}
)",
                           3);
  PassContext context = context_of(Mode::train);
  context.target = parse_target(target);
  context.precision = parse_precision(precision);
  run_until(graph, context, stop_after);
  return graph;
}

LoweredNode lower_by_library(const Node& node) {
  LoweringOptions options{.target = parse_target("cuda:sm_90"), .choose = nullptr};
  options.choose = [options](const ContractionUse& use) {
    const std::vector<std::string> libraries = library_candidates(use, options);
    return libraries.empty() ? "" : libraries.front();
  };
  return lower(
      node, [](const Value&) { return true; }, options);
}

TEST(LibraryKernels, ComputeEveryPass) {
  std::map<std::string, int> checked;
  const Graph graph = training_step("fp32", "assign-layouts");
  for (const auto& node : graph.nodes) {
    if (!node->op->is_contraction())
      continue;
    const LoweredNode kernel = lower_by_library(*node);
    if (!kernel.contraction->library)
      continue;
    SCOPED_TRACE(call_text(*kernel.contraction));
    KernelMemory memory(kernel);
    run(kernel, memory);
    const Floats& result = memory.first_result();
    std::vector<double> expected;
    for (size_t i = 0; i < result.size(); ++i)
      expected.push_back(contraction_element(*node, memory.at(0).data(), memory.at(1).data(),
                                             static_cast<int64_t>(i)));
    EXPECT_LT(relative_error(result, expected), 2e-6);
    ++checked[kernel.contraction->function];
  }
  EXPECT_EQ(checked, (std::map<std::string, int>{{"conv2d_forward", 3},
                                                 {"conv2d_data_gradient", 2},
                                                 {"conv2d_weight_gradient", 3},
                                                 {"linear_forward", 2},
                                                 {"linear_data_gradient", 2}}));
}

TEST(LibraryKernels, AddABiasAndMask) {
  for (const char* precision : {"fp32", "tf32"}) {
    const Graph graph = training_step(precision, "fuse-epilogue");
    int checked = 0;
    for (const auto& node : graph.nodes)
      if (node->body && members_of(*node).ends_with("bias relu")) {
        const LoweredNode kernel = lower_by_library(*node);
        SCOPED_TRACE(call_text(*kernel.contraction));
        KernelMemory memory(kernel);
        run(kernel, memory);
        const Node* contraction = nullptr;
        for (const auto& member : node->body->nodes)
          contraction = member->op->is_contraction() ? member.get() : contraction;
        const Floats &result = memory.first_result(), &bias = memory.at(2);
        std::vector<double> expected;
        for (size_t i = 0; i < result.size(); ++i)
          expected.push_back(
              std::max(0.0, bias[i % bias.size()] +
                                contraction_element(*contraction, memory.at(0).data(),
                                                    memory.at(1).data(), static_cast<int64_t>(i))));
        EXPECT_LT(relative_error(result, expected), precision == std::string("fp32") ? 2e-6 : 1e-3);
        ++checked;
      }
    EXPECT_EQ(checked, 2);
  }
}

TEST(LibraryKernels, SumABiasGradientBesideTheWeights) {
  for (const char* precision : {"fp32", "tf32"}) {
    const Graph graph = training_step(precision, "fuse-bias-gradients", "cuda:sm_90a");
    int checked = 0;
    for (const auto& node : graph.nodes)
      if (node->body && members_of(*node) == "conv2d_weight_gradient channel_sum") {
        const LoweredNode kernel = lower_by_library(*node);
        SCOPED_TRACE(call_text(*kernel.contraction));
        KernelMemory memory(kernel);
        run(kernel, memory);
        const Node& contraction =
            *make_group(*node, [](const Value&) { return true; }).members.front();
        const Floats &dw = memory.first_result(), &dy = memory.at(1),
                     &db = memory.at(static_cast<int>(kernel.operands.size()) + 1);
        std::vector<double> weights, bias(db.size());
        for (size_t i = 0; i < dw.size(); ++i)
          weights.push_back(contraction_element(contraction, memory.at(0).data(), dy.data(),
                                                static_cast<int64_t>(i)));
        for (size_t i = 0; i < dy.size(); ++i)
          bias[i % bias.size()] += dy[i];
        EXPECT_LT(relative_error(dw, weights), precision == std::string("fp32") ? 2e-6 : 1e-3);
        EXPECT_LT(relative_error(db, bias), 1e-6);
        ++checked;
      }
    // In TF32, of the convolution whose gradient memory holds so.
    EXPECT_EQ(checked, precision == std::string("fp32") ? 2 : 1);
  }
}

TEST(LibraryKernels, RoundWhatOthersReadRounded) {
  const Graph graph = training_step("tf32", "assign-storage", "cuda:sm_90a");
  int checked = 0;
  for (const auto& node : graph.nodes) {
    if (!node->op->is_contraction() && !node->body)
      continue;
    const LoweredNode kernel = lower_by_library(*node);
    if (!kernel.contraction || !kernel.contraction->library || !kernel.results[0]->storage)
      continue;
    SCOPED_TRACE(call_text(*kernel.contraction));
    KernelMemory memory(kernel);
    run(kernel, memory);
    size_t numbers = 0;
    for (float value : memory.first_result()) {
      EXPECT_EQ(std::bit_cast<uint32_t>(value), rounded_bits(value, DType::tf32)) << value;
      numbers += value != 0;
    }
    // A ReLU or its gradient leaves about half.
    EXPECT_GT(numbers, memory.first_result().size() / 4);
    ++checked;
  }
  EXPECT_GT(checked, 0);
}

} // namespace
} // namespace netc::test
