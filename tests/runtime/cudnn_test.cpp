// Convolutions by cuDNN: what it is asked for and which algorithm is taken, through a stand-in that
// follows the library's documentation on the host's memory (cudnn_stand_in.cpp). Whole kernels are
// in tests/emu/library_kernel_test.cpp.

#include "runtime/cuda/cuda.h"
#include "runtime/cuda/cudnn.h"

#include "ir/program.h"
#include "ir/support/error.h"
#include "runtime/cuda/kernels.h"
#include "tests/runtime/temporary_folder.h"
#include "tests/support/places.h"

#include <cudnn.h>

#include <gmock/gmock.h>

#include <cmath>
#include <cstddef>
#include <random>

namespace netc::cuda {
namespace {

using testing::HasSubstr;

// What netc declares is what cudnn.h declares.
static_assert(sizeof(CudnnAlgorithm) == sizeof(cudnnConvolutionFwdAlgoPerf_t));
static_assert(sizeof(CudnnAlgorithm) == sizeof(cudnnConvolutionBwdDataAlgoPerf_t));
static_assert(sizeof(CudnnAlgorithm) == sizeof(cudnnConvolutionBwdFilterAlgoPerf_t));
static_assert(offsetof(CudnnAlgorithm, status) == offsetof(cudnnConvolutionFwdAlgoPerf_t, status));
static_assert(offsetof(CudnnAlgorithm, memory) == offsetof(cudnnConvolutionFwdAlgoPerf_t, memory));
static_assert(offsetof(CudnnAlgorithm, deterministic) ==
              offsetof(cudnnConvolutionFwdAlgoPerf_t, determinism));
static_assert(offsetof(CudnnAlgorithm, math) == offsetof(cudnnConvolutionFwdAlgoPerf_t, mathType));

std::string stand_in_file() {
  return (test::binary_root() / "stand-ins/libcudnn_stand_in.so").string();
}

/// 3 images of 4 x 5 pixels; a kernel of one tap is a matrix product at every pixel.
LibraryCall call_of(const std::string& pass, int kernel = 1) {
  return {.library = "cudnn",
          .pass = "conv2d_" + pass,
          .batch = 3,
          .in_features = 8,
          .out_features = 6,
          .convolution = ConvolutionShape{.in = {4, 5},
                                          .out = {4, 5},
                                          .kernel = {kernel, kernel},
                                          .pad = {kernel / 2, kernel / 2}},
          .result = 2,
          .scratch = 3,
          .scratch_bytes = 1024};
}

class CudnnCalls : public testing::Test {
protected:
  CudnnCalls() : control_(stand_in_file()), library_({stand_in_file()}) {
    std::mt19937 generator(1);
    std::uniform_real_distribution<float> value(-1, 1);
    for (std::vector<float>* memory : {&x_, &w_})
      for (float& f : *memory)
        f = value(generator);
  }
  void TearDown() override { fail("", CUDNN_STATUS_SUCCESS); } // libraries stay loaded
  void fail(const char* function, cudnnStatus_t status) {
    control_.function<void (*)(const char*, cudnnStatus_t)>("stand_in_fail")(function, status);
  }
  int objects() const { return control_.function<int (*)()>("stand_in_objects")(); }
  void run(const LibraryCall& call, Precision precision = Precision::fp32) {
    const Convolution product(library_, call, precision, "kernel `k`");
    product.run(parameters(), nullptr);
  }
  std::vector<void*> parameters() { return {x_.data(), w_.data(), y_.data(), scratch_.data()}; }
  /// The largest error of the forward pass with one tap.
  double error() const {
    double most = 0;
    for (size_t pixel = 0; pixel < 60; ++pixel)
      for (size_t k = 0; k < 6; ++k) {
        double sum = 0;
        for (size_t c = 0; c < 8; ++c)
          sum += static_cast<double>(x_[pixel * 8 + c]) * w_[k * 8 + c];
        most = std::max(most, std::abs(y_[pixel * 6 + k] - sum));
      }
    return most;
  }

  SharedLibrary control_;
  CudnnHandle library_;
  std::vector<float> x_ = std::vector<float>(480), w_ = std::vector<float>(48 * 9),
                     y_ = std::vector<float>(480, 9), scratch_ = std::vector<float>(256);
};

TEST_F(CudnnCalls, MultipliesAsPreciselyAsAsked) {
  run(call_of("forward"));
  EXPECT_LT(error(), 1e-5);
  run(call_of("forward"), Precision::tf32);
  EXPECT_GT(error(), 1e-5);
  EXPECT_LT(error(), 1e-2);
}

TEST_F(CudnnCalls, TakesTheFirstAlgorithmThatSuits) {
  for (const char* pass : {"forward", "data_gradient", "weight_gradient"}) {
    EXPECT_NO_THROW(run(call_of(pass, 3))) << pass; // the stand-in computes by that one alone
    LibraryCall small = call_of(pass, 3);
    small.scratch_bytes = 64;
    EXPECT_THAT(error_of<RuntimeError>([&] { run(small); }),
                HasSubstr("CUDNN_STATUS_NOT_SUPPORTED (3000)"))
        << pass;
  }
  fail("deterministic", CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(error_of<RuntimeError>([&] { run(call_of("forward")); }),
            "cudnnGetConvolutionForwardAlgorithm_v7 failed: CUDNN_STATUS_NOT_SUPPORTED (3000)");
}

TEST_F(CudnnCalls, WorksOnTheStreamOfTheRun) {
  const Convolution product(library_, call_of("forward"), Precision::fp32, "kernel `k`");
  const auto stream = reinterpret_cast<cudaStream_t>(64);
  product.run(parameters(), stream);
  EXPECT_EQ(control_.function<cudaStream_t (*)()>("stand_in_stream")(), stream);
}

TEST_F(CudnnCalls, ObjectsGoWithTheirOwners) {
  const int before = objects();
  run(call_of("weight_gradient", 3));
  EXPECT_EQ(objects(), before);
}

TEST_F(CudnnCalls, EveryRefusalIsTold) {
  const int before = objects();
  for (const char* function :
       {"cudnnCreateTensorDescriptor", "cudnnSetTensor4dDescriptor", "cudnnCreateFilterDescriptor",
        "cudnnSetFilter4dDescriptor", "cudnnCreateConvolutionDescriptor",
        "cudnnSetConvolution2dDescriptor", "cudnnSetConvolutionGroupCount",
        "cudnnSetConvolutionMathType", "cudnnGetConvolutionForwardAlgorithm_v7"}) {
    fail(function, CUDNN_STATUS_NOT_SUPPORTED);
    EXPECT_EQ(error_of<RuntimeError>([&] { run(call_of("forward")); }),
              fmt::format("{} failed: CUDNN_STATUS_NOT_SUPPORTED (3000)", function));
  }
  EXPECT_EQ(objects(), before) << "a refusal leaked";
  for (const char* function : {"cudnnSetStream", "cudnnConvolutionForward"}) {
    fail("", CUDNN_STATUS_SUCCESS);
    const Convolution product(library_, call_of("forward"), Precision::fp32, "kernel `k`");
    fail(function, CUDNN_STATUS_NOT_SUPPORTED);
    EXPECT_EQ(error_of<RuntimeError>([&] { product.run(parameters(), nullptr); }),
              fmt::format("kernel `k`: {} failed: CUDNN_STATUS_NOT_SUPPORTED (3000)", function));
  }
}

TEST_F(CudnnCalls, UnknownCallsAreRefused) {
  EXPECT_EQ(error_of<RuntimeError>([&] { run(call_of("backward")); }),
            "there is no `conv2d_backward` of `cudnn`");
  LibraryCall without = call_of("forward");
  without.convolution.reset();
  EXPECT_THAT(error_of<RuntimeError>([&] { run(without); }), HasSubstr("there is no"));
}

TEST_F(CudnnCalls, WhereItIsNotTheLayerIsNamed) {
  Plan plan;
  plan.kernels = {{.name = "00_conv",
                   .binary = {},
                   .implementation = "cudnn",
                   .precision = "tf32",
                   .library = call_of("forward")}};
  plan.programs = {parse_program("program eval from \"net.yaml\" {\n  arena 64 at least 0\n"
                                 "  %a : f32[1048576] state 4194304 live 0..-1\n"
                                 "  step 00_conv(in %a, in %a, out %a, workspace %a) "
                                 "\"conv: conv2d\" @7:5\n}\n")};
  const Target target = parse_target("cuda:sm_90a");
  try {
    Kernels(plan, target, "nowhere", {.cudnn = {"libnetc-absent.so"}});
    FAIL() << "no error";
  } catch (const LibraryError& error) {
    EXPECT_EQ(error.what(), "kernel `00_conv` (`conv: conv2d`, net.yaml:7:5) calls `cudnn`, which "
                            "does not work here: " +
                                error.reason());
    EXPECT_THAT(error.reason(), testing::StartsWith("libnetc-absent.so"));
  }
  EXPECT_TRUE(
      Kernels(plan, target, "nowhere", {.cudnn = {stand_in_file()}}).kernel("00_conv").product);
}

TEST(RealCudnn, TakesTheDescriptions) {
  std::unique_ptr<Cudnn> dnn;
  try {
    dnn = std::make_unique<Cudnn>(cudnn_files());
  } catch (const RuntimeError& error) {
    GTEST_SKIP() << "skipped: no cuDNN, " << error.what();
  }
  LibraryCall call = call_of("forward");
  call.convolution = ConvolutionShape{.in = {27, 28},
                                      .out = {14, 26},
                                      .kernel = {5, 3},
                                      .groups = 2,
                                      .stride = {2, 1},
                                      .dilation = {1, 2},
                                      .pad = {2, 1}};
  const ConvolutionDescription description(*dnn, call, Precision::tf32);
  using Size = int (*)(CudnnObject, CudnnObject, CudnnObject, int*, int*, int*, int*);
  int n = 0, c = 0, h = 0, w = 0;
  dnn->check(dnn->library.function<Size>("cudnnGetConvolution2dForwardOutputDim")(
                 description.convolution.get(), description.in.get(), description.weights.get(), &n,
                 &c, &h, &w),
             "cudnnGetConvolution2dForwardOutputDim");
  EXPECT_EQ(std::tuple(n, c, h, w), std::tuple(3, 6, 14, 26));
}

} // namespace
} // namespace netc::cuda
