// NVRTC compiles the CUDA text of every operator and of whole networks. It needs no GPU; where it
// is not installed the tests skip.

#include "codegen/nvrtc.h"
#include "codegen/program_builder.h"
#include "ir/ops.h"
#include "tests/support/op_harness.h"
#include "tests/support/run_graph.h"
#include "tools/driver/compile.h"

#include <gmock/gmock.h>

#include <iostream>
#include <set>

namespace netc::test {
namespace {

const Target sm_90 = parse_target("cuda:sm_90");

class CudaTextNvrtc : public testing::Test {
protected:
  void SetUp() override {
    if (!nvrtc_.available())
      GTEST_SKIP() << "skipped: no NVRTC";
  }

  void expect_compiles(const KernelSet& kernels) {
    EXPECT_FALSE(kernels.entries().empty());
    for (const KernelSet::Entry& entry : kernels.entries()) {
      std::string log, cubin;
      try {
        cubin = nvrtc_.compile(entry.code.text, "sm_90", log);
      } catch (const InternalError& error) {
        ADD_FAILURE() << entry.users.front() << ": " << error.what() << "\n" << entry.code.text;
        continue;
      }
      EXPECT_EQ(cubin.substr(0, 4), "\177ELF") << entry.users.front();
      EXPECT_EQ(log, "") << entry.users.front();
      for (size_t phase = 0; phase < entry.code.entries.size(); ++phase)
        EXPECT_THAT(cubin, testing::HasSubstr(fmt::format("kernel_{}", phase)));
    }
  }

  NvrtcToolchain nvrtc_;
};

TEST_F(CudaTextNvrtc, GivesCubinsAndPtx) {
  const std::string text = "extern \"C\" __global__ void kernel_0(float* x) { x[0] = 1; }\n";
  std::string log;
  EXPECT_THAT(nvrtc_.version(), testing::StartsWith("NVRTC 1"));
  EXPECT_EQ(nvrtc_.compile(text, "sm_90", log).substr(0, 4), "\177ELF");
  EXPECT_THAT(nvrtc_.compile(text, "compute_90", log), testing::HasSubstr(".target sm_90"));
  EXPECT_EQ(log, "");
}

TEST_F(CudaTextNvrtc, ReportsItsLog) {
  std::string log;
  try {
    nvrtc_.compile("extern \"C\" __global__ void kernel_0() { x = 1; }\n", "sm_90", log);
    ADD_FAILURE() << "compiled";
  } catch (const InternalError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("identifier \"x\" is undefined"));
  }
  EXPECT_THAT(log, testing::HasSubstr("kernel.cu(1)"));
  EXPECT_THROW(nvrtc_.compile("", "sm_1", log), RuntimeError);
}

std::vector<int64_t> pair(int64_t n) {
  return {n, n};
}

std::vector<OpCase> image_cases() {
  const Attributes lrn = {{"n", int64_t{5}},      {"k", 2.0},
                          {"alpha", 1e-4},        {"beta", 0.75},
                          {"groups", int64_t{2}}, {"alpha_over_n", false}};
  const Attributes pool = {
      {"kernel", pair(3)}, {"stride", pair(2)}, {"rounding", std::string("ceil")}};
  OperandCase stored = integers_feed({2, 3, 9, 8}, integers(0, 255));
  stored.type.dtype = DType::u8;
  return {
      {&ops::conv2d,
       {feed({2, 6, 9, 8}), parameter({10, 3, 3, 3})},
       {{"groups", int64_t{2}}, {"stride", pair(2)}, {"pad", std::vector<int64_t>{1, 0, 2, 1}}}},
      {&ops::input_image,
       {stored, integers_feed({2}, integers(0, 9)), integers_feed({2}, integers(0, 9)),
        integers_feed({2}, values({1, 2})), parameter({3})},
       {{"height", int64_t{6}},
        {"width", int64_t{5}},
        {"random_crop", true},
        {"flip", true},
        {"scale", 0.5}}},
      {&ops::bias, {feed({2, 6, 5, 5}), parameter({6})}},
      {&ops::lrn, {feed({2, 6, 5, 5})}, lrn},
      {&ops::max_pool2d, {feed({2, 6, 8, 8})}, pool},
      {&ops::avg_pool2d, {feed({2, 6, 8, 8})}, pool},
      {&ops::concat, {feed({2, 3, 4, 4}), feed({2, 5, 4, 4})}},
      {&ops::flatten, {feed({2, 3, 4, 5})}},
      {&ops::reshape, {feed({2, 60})}, {{"shape", std::vector<int64_t>{3, 4, 5}}}},
      {&ops::softmax, {feed({2, 6, 3, 3})}},
  };
}

std::vector<OpCase> feature_cases() {
  const OperandCase labels = integers_feed({4}, integers(0, 9));
  return {
      {&ops::constant, {}, {{"shape", std::vector<int64_t>{3, 4}}, {"value", 0.25}}},
      {&ops::linear, {feed({4, 12}), parameter({10, 12})}},
      {&ops::linear, {feed({16, 12}), parameter({10, 12})}},
      {&ops::relu, {feed({4, 7})}},
      {&ops::tanh, {feed({4, 7})}},
      {&ops::sigmoid, {feed({4, 7})}},
      {&ops::scale, {feed({4, 7})}, {{"factor", 0.5}}},
      {&ops::dropout,
       {feed({4, 7}), integers_feed({2}, values({1, 2})), integers_feed({1}, values({3}))},
       {{"rate", 0.5}, {"mode", std::string("inverted")}}},
      {&ops::add, {feed({4, 7}), feed({4, 7})}},
      {&ops::softmax_cross_entropy, {feed({4, 10}), labels}},
      {&ops::topk_accuracy, {feed({4, 10}), labels}, {{"k", int64_t{5}}}},
      {&ops::sgd_update,
       {parameter({5, 7}), feed({5, 7}), parameter({5, 7}), feed({1})},
       {{"momentum", 0.9}, {"decay", 5e-4}, {"rate", 1.0}}},
  };
}

/// The kernels of operators and their gradients, each by itself.
KernelSet kernels_of(const Graph& graph, bool exact) {
  PreparedGraph prepared = prepare_graph(graph, {.target = sm_90, .exact = exact});
  KernelSet kernels(sm_90, exact);
  build_program(prepared.graph, prepared.context.memory, "test",
                {.target = sm_90, .exact = exact, .choose = nullptr}, kernels);
  return kernels;
}

TEST_F(CudaTextNvrtc, CompilesEveryOperator) {
  std::set<const OpDef*> covered;
  for (const auto& table : {image_cases(), feature_cases()}) {
    CaseGraph built = build_cases(table);
    for (const auto& node : built.graph.nodes)
      covered.insert(node->op);
    for (bool exact : {false, true})
      expect_compiles(kernels_of(built.graph, exact));
  }
  for (const OpDef* op : all_ops())
    EXPECT_TRUE(std::holds_alternative<std::monostate>(op->lower) || covered.count(op)) << op->name;
}

/// The kernels of a bundled network, training and inference, as a plan holds them.
KernelSet kernels_of_network(const std::string& name, int64_t batch, bool exact) {
  CompileOptions options;
  options.target = sm_90;
  options.batch = batch;
  options.exact = exact;
  options.threads = 2;
  const Network network = load_network(name, std::cerr).network;
  KernelSet kernels(sm_90, exact);
  for (Mode mode : {Mode::train, Mode::infer}) {
    PassedGraph passed = run_passes(network, mode, options, lowering_options(options), std::cerr);
    build_program(passed.graph, passed.context.memory, "test", lowering_options(options), kernels);
  }
  return kernels;
}

TEST_F(CudaTextNvrtc, CompilesAlexNet) {
  expect_compiles(kernels_of_network("alexnet", 128, false));
}

TEST_F(CudaTextNvrtc, CompilesAlexNetExact) {
  expect_compiles(kernels_of_network("alexnet", 2, true));
}

TEST_F(CudaTextNvrtc, CompilesSmallNetworks) {
  for (const char* name : {"alexnet-small", "cifar10-quick", "lenet"})
    expect_compiles(kernels_of_network(name, 16, false));
}

} // namespace
} // namespace netc::test
