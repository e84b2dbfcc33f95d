// What cuda.h promises, in a build without the CUDA Toolkit.

#include "ir/support/error.h"
#include "runtime/cuda/cuda.h"

namespace netc {

namespace {

constexpr const char* problem = "netc was built without CUDA";
constexpr const char* hint = "install the CUDA Toolkit (12.8 or newer) and build netc again with "
                             "-DNETC_CUDA=ON";

} // namespace

CudaState cuda_state() {
  return {.runtime = {}, .driver = {}, .gpus = {}, .problem = problem, .hint = hint};
}

std::string library_problem(const std::string&) {
  return problem;
}

std::unique_ptr<Device> open_cuda_device(const DeviceSpec& spec, int) {
  throw RuntimeError(fmt::format("there is no device `{}`: {}", spec.name, problem), hint);
}

} // namespace netc
