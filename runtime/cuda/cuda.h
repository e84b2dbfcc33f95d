#pragma once
// GPUs as seen from outside: what this build and this machine have, and opening one. In a build
// without the CUDA Toolkit there are none (absent.cpp).

#include "ir/support/error.h"
#include "ir/target.h"
#include "runtime/device.h"

namespace netc {

/// Compute capability x 10 that kernels need at least.
inline constexpr int oldest_capability = 75;

/// A GPU of this machine.
struct Gpu {
  std::string name;   ///< `NVIDIA H200`.
  int capability = 0; ///< Compute capability x 10: 90.
  int64_t memory_bytes = 0;
};

/// What netc can do with GPUs here, and why not more.
struct CudaState {
  std::string runtime; ///< `13.0`; empty where netc was built without CUDA.
  std::string driver;  ///< The newest CUDA version that the driver knows; empty without a driver.
  std::vector<Gpu> gpus;
  std::string problem; ///< Why there are no GPUs; empty when there are.
  std::string hint;    ///< What helps against the problem.
};

/// Looks at the machine; never throws.
CudaState cuda_state();

/// Why no plan could call the library (`cublaslt`, `cudnn`) on this machine, as far as one can tell
/// without a GPU; empty: it can be opened and has what netc calls.
std::string library_problem(const std::string& library);
inline bool has_library(const std::string& library) {
  return library_problem(library).empty();
}

/// A library does not do here what a plan has it do.
class LibraryError : public RuntimeError {
public:
  LibraryError(const std::string& what, const std::string& hint, std::string reason)
      : RuntimeError(what, hint), reason_(std::move(reason)) {}
  /// What the library or its loader said, without who called it.
  const std::string& reason() const { return reason_; }

private:
  std::string reason_;
};

/// Whether kernels compiled for `target` run on a GPU of compute capability `capability` / 10. A
/// binary runs on its own and later minor versions (with the suffix `a` on its own only), PTX on
/// all later versions.
bool runs_on_gpu(const Target& target, int capability);

/// `NVIDIA H200, sm_90, 150.12 GB`.
std::string describe(const Gpu& gpu);

/// The GPU number `index` as a logical device. RuntimeError when there is none, or it is too old.
std::unique_ptr<Device> open_cuda_device(const DeviceSpec& spec, int index);

} // namespace netc
