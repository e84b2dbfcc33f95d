// What users read when a call of the CUDA runtime fails. No call is made: no GPU is needed.

#include "ir/support/error.h"
#include "runtime/cuda/check.h"

#include <gmock/gmock.h>

namespace netc::cuda {
namespace {

using testing::HasSubstr;

TEST(CudaErrors, NameTheCodeAndWhatWasBeingDone) {
  EXPECT_NO_THROW(check(cudaSuccess, "starting"));
  try {
    check(cudaErrorMemoryAllocation, "allocating 3.0 MB on `cuda:0`");
    FAIL() << "no error";
  } catch (const RuntimeError& error) {
    EXPECT_THAT(error.what(), HasSubstr("allocating 3.0 MB on `cuda:0` failed: "
                                        "cudaErrorMemoryAllocation (2): out of memory"));
    EXPECT_THAT(error.hint(), HasSubstr("`--batch N`"));
  }
}

TEST(CudaErrors, HintsAreOfTheKindOfFailure) {
  const std::pair<cudaError_t, const char*> hints[] = {
      {cudaErrorNoDevice, "CUDA_VISIBLE_DEVICES"},
      {cudaErrorInsufficientDriver, "install an NVIDIA driver"},
      {cudaErrorNoKernelImageForDevice, "compile the network again"},
      {cudaErrorIllegalAddress, "a plan for `--target emu:ARCH`"},
      {cudaErrorLaunchFailure, "compute-sanitizer"},
      {cudaErrorLaunchTimeout, "draws a screen"},
      {cudaErrorDevicesUnavailable, "exclusively"},
      {cudaErrorECCUncorrectable, "the GPU's health"}};
  for (const auto& [error, text] : hints)
    EXPECT_THAT(error_hint(error), HasSubstr(text)) << cudaGetErrorName(error);
}

} // namespace
} // namespace netc::cuda
