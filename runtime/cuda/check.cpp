#include "runtime/cuda/check.h"

#include "ir/support/error.h"

namespace netc::cuda {

std::string error_text(cudaError_t error) {
  return fmt::format("{} ({}): {}", cudaGetErrorName(error), static_cast<int>(error),
                     cudaGetErrorString(error));
}

std::string error_hint(cudaError_t error) {
  switch (error) {
  case cudaErrorMemoryAllocation:
    return "a smaller batch (`--batch N`) needs less; are other programs using the GPU?";
  case cudaErrorInsufficientDriver:
  case cudaErrorStubLibrary:
  case cudaErrorCompatNotSupportedOnDevice:
  case cudaErrorSystemDriverMismatch:
    return "install an NVIDIA driver that is new enough for the CUDA version `netc doctor` shows";
  case cudaErrorNoDevice:
    return "`nvidia-smi` should list a GPU; does CUDA_VISIBLE_DEVICES hide it?";
  case cudaErrorInvalidKernelImage:
  case cudaErrorNoKernelImageForDevice:
  case cudaErrorInvalidPtx:
  case cudaErrorUnsupportedPtxVersion:
  case cudaErrorJitCompilerNotFound:
  case cudaErrorJitCompilationDisabled:
    return "compile the network again for this GPU (`netc devices` shows its capability)";
  case cudaErrorIllegalAddress:
  case cudaErrorMisalignedAddress:
  case cudaErrorInvalidAddressSpace:
  case cudaErrorInvalidPc:
  case cudaErrorIllegalInstruction:
  case cudaErrorHardwareStackError:
  case cudaErrorLaunchFailure:
  case cudaErrorAssert:
    return "a kernel of netc is at fault or the GPU is; a plan for `--target emu:ARCH` (of the "
           "ARCH "
           "in plan.json: `emu:sm_90a`) has the kernels, as they are untuned, with every access "
           "checked on `--device emu:0`; compute-sanitizer checks those of the GPU";
  case cudaErrorLaunchTimeout:
    return "the GPU also draws a screen and ends long kernels; a smaller batch (`--batch N`) is "
           "shorter";
  case cudaErrorDevicesUnavailable:
    return "does another program use the GPU exclusively (`nvidia-smi`)?";
  default:
    return "`nvidia-smi` and the system's log (`dmesg`) tell about the GPU's health";
  }
}

void check(cudaError_t error, const std::string& doing) {
  if (error == cudaSuccess)
    return;
  cudaGetLastError(); // what can be forgotten is
  throw RuntimeError(fmt::format("{} failed: {}", doing, error_text(error)), error_hint(error));
}

} // namespace netc::cuda
