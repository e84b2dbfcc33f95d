#include "runtime/cuda/kernels.h"

#include "ir/support/error.h"
#include "runtime/atomic_file.h"

#include <algorithm>
#include <climits>

namespace netc::cuda {

namespace {

/// Dynamic shared memory that a block may have without asking.
constexpr int unasked_shared_bytes = 48 << 10;

/// Hands the bytes of a cubin or the text of a PTX file to the driver.
Library load_library(const std::string& code, const std::string& file) {
  char log[4096] = ""; // of the driver's compiler, which PTX goes through
  cudaJitOption options[] = {cudaJitErrorLogBuffer, cudaJitErrorLogBufferSizeBytes};
  void* values[] = {log, reinterpret_cast<void*>(sizeof log)};
  cudaLibrary_t library = nullptr;
  cudaError_t error =
      cudaLibraryLoadData(&library, code.c_str(), options, values, 2, nullptr, nullptr, 0);
  log[sizeof log - 1] = '\0';
  std::string said = log;
  check(error, fmt::format("loading `{}`{}", file, said.empty() ? "" : fmt::format(" ({})", said)));
  return Library(library);
}

int device_attribute(cudaDeviceAttr attribute) {
  int device = 0, value = 0;
  check(cudaGetDevice(&device), "asking for the current GPU");
  check(cudaDeviceGetAttribute(&value, attribute, device), "asking for the GPU's limits");
  return value;
}

/// Makes an entry launchable as the plan says; RuntimeError when the GPU has not got what it takes.
void prepare(const Entry& entry, const std::string& what) {
  const void* function = entry.kernel;
  cudaFuncAttributes attributes{};
  check(cudaFuncGetAttributes(&attributes, function), fmt::format("loading {}", what));
  auto need = [&](int64_t wanted, int64_t most, const char* resource) {
    if (wanted > most)
      throw RuntimeError(
          fmt::format("{} needs {} {}, this GPU allows {}", what, wanted, resource, most),
          "compile the network again for this GPU");
  };
  need(entry.launch.threads, attributes.maxThreadsPerBlock, "threads in a block");
  need(entry.launch.blocks, INT_MAX, "blocks");
  int most_shared = device_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin);
  need(entry.launch.shared_bytes + static_cast<int64_t>(attributes.sharedSizeBytes), most_shared,
       "bytes of shared memory");
  if (entry.launch.shared_bytes > unasked_shared_bytes)
    check(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               entry.launch.shared_bytes),
          fmt::format("giving {} its shared memory", what));
}

} // namespace

Kernels::Kernels(const Plan& plan, const Target& target, const std::filesystem::path& folder) {
  const char* suffix = target.arch.starts_with("compute_") ? ".ptx" : ".cubin";
  for (const PlanKernel& kernel : plan.kernels)
    load(kernel, folder / "kernels" / (kernel.name + suffix));
}

void Kernels::load(const PlanKernel& kernel, const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored))
    throw RuntimeError(
        fmt::format("kernel `{}` cannot be loaded: there is no `{}`", kernel.name, file.string()),
        "compile the network again");
  libraries_.push_back(load_library(read_file(file), file.string()));
  std::vector<Entry>& entries = kernels_[kernel.name];
  for (size_t i = 0; i < kernel.entries.size(); ++i) {
    Entry entry{nullptr, kernel.entries[i]};
    std::string name = fmt::format("kernel_{}", i);
    std::string what = fmt::format("`{}` of kernel `{}`", name, kernel.name);
    check(cudaLibraryGetKernel(&entry.kernel, libraries_.back().get(), name.c_str()),
          fmt::format("finding {}", what));
    prepare(entry, what);
    entries.push_back(entry);
  }
}

} // namespace netc::cuda
