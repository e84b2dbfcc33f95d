#include "runtime/cuda/kernels.h"

#include "ir/support/error.h"
#include "runtime/atomic_file.h"
#include "runtime/cuda/cuda.h"

#include <algorithm>
#include <climits>

namespace netc::cuda {

namespace {

/// Of the log of the driver's compiler.
constexpr size_t log_bytes = 4096;

/// Hands the bytes of a cubin or the text of a PTX file to the driver.
LoadedLibrary load_library(const std::string& code, const std::string& file, bool ptx) {
  LoadedLibrary loaded;
  if (ptx)
    loaded.log = std::make_unique<char[]>(log_bytes);
  cudaJitOption options[] = {cudaJitErrorLogBuffer, cudaJitErrorLogBufferSizeBytes};
  void* values[] = {loaded.log.get(), reinterpret_cast<void*>(log_bytes - 1)}; // ends with 0
  cudaLibrary_t library = nullptr;
  cudaError_t error = cudaLibraryLoadData(&library, code.c_str(), ptx ? options : nullptr,
                                          ptx ? values : nullptr, ptx ? 2 : 0, nullptr, nullptr, 0);
  loaded.library = Library(library);
  check(error, fmt::format("loading `{}`{}", file, loaded.said()));
  return loaded;
}

int device_attribute(cudaDeviceAttr attribute) {
  int device = 0, value = 0;
  check(cudaGetDevice(&device), "asking for the current GPU");
  check(cudaDeviceGetAttribute(&value, attribute, device), "asking for the GPU's limits");
  return value;
}

/// Makes an entry launchable as the plan says; RuntimeError when the GPU has not got what it takes.
void prepare(const Entry& entry, const LoadedLibrary& library, const std::string& what) {
  const void* function = entry.kernel;
  cudaFuncAttributes attributes{};
  cudaError_t loaded = cudaFuncGetAttributes(&attributes, function); // compiles PTX
  check(loaded, fmt::format("loading {}{}", what, library.said()));
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
  if (entry.launch.shared_bytes > attributes.maxDynamicSharedSizeBytes) // without asking
    check(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               entry.launch.shared_bytes),
          fmt::format("giving {} its shared memory", what));
}

} // namespace

std::string LoadedLibrary::said() const {
  return log && log[0] ? fmt::format(" ({})", log.get()) : "";
}

Kernels::Kernels(const Plan& plan, const Target& target, const std::filesystem::path& folder,
                 const LibraryFiles& files) {
  bool ptx = target.arch.starts_with("compute_");
  for (const PlanKernel& kernel : plan.kernels) {
    if (kernel.library)
      load_product(plan, kernel, files);
    if (!kernel.library || !kernel.entries.empty())
      load(kernel, folder / "kernels" / (kernel.name + (ptx ? ".ptx" : ".cubin")), ptx);
  }
}

namespace {

/// The first step of the plan that launches the kernel.
const Step& user_of(const Plan& plan, const PlanKernel& kernel) {
  for (const Program& program : plan.programs)
    for (const Step& step : program.steps)
      if (step.kernel == kernel.name)
        return step;
  throw RuntimeError(fmt::format("no step launches kernel `{}`", kernel.name),
                     "compile the network again");
}

/// Whether the call comes among the kernel's entries, and takes parameters that all steps have that
/// launch the kernel, with as much scratch memory.
bool fits(const LibraryCall& call, const Plan& plan, const PlanKernel& kernel) {
  auto [least, most] = std::minmax({call.first, call.second, call.result, call.scratch});
  if (least < 0 || call.entries_before < 0 ||
      static_cast<size_t>(call.entries_before) > kernel.entries.size())
    return false;
  const int highest = std::max(most, call.bias);
  auto gives = [&](const Program& program, const Step& step) {
    if (highest >= static_cast<int>(step.buffers.size()))
      return false;
    const int scratch = step.buffers[static_cast<size_t>(call.scratch)];
    return program.buffers[static_cast<size_t>(scratch)].bytes >= call.scratch_bytes;
  };
  return std::all_of(plan.programs.begin(), plan.programs.end(), [&](const Program& program) {
    return std::all_of(program.steps.begin(), program.steps.end(), [&](const Step& step) {
      return step.kernel != kernel.name || gives(program, step);
    });
  });
}

} // namespace

std::unique_ptr<LibraryProduct> Kernels::make_product(const PlanKernel& kernel,
                                                      const std::string& what,
                                                      const LibraryFiles& files) {
  const LibraryCall& call = *kernel.library;
  const Precision precision = parse_precision(kernel.precision);
  if (call.library == "cudnn") {
    if (!cudnn_)
      cudnn_ = std::make_unique<CudnnHandle>(files.cudnn);
    return std::make_unique<Convolution>(*cudnn_, call, precision, what);
  }
  if (!cublaslt_)
    cublaslt_ = std::make_unique<CublasLtHandle>(files.cublaslt);
  return std::make_unique<MatrixProduct>(*cublaslt_, call, precision, what);
}

void Kernels::load_product(const Plan& plan, const PlanKernel& kernel, const LibraryFiles& files) {
  const LibraryCall& call = *kernel.library;
  const Step& step = user_of(plan, kernel);
  std::string place = step.loc.known() ? fmt::format(", {}", step.loc.str()) : "";
  std::string what = fmt::format("kernel `{}` (`{}`{})", kernel.name, step.label, place);
  if (!fits(call, plan, kernel))
    throw RuntimeError(fmt::format("{} calls a library with parameters it does not have", what),
                       "compile the network again");
  LoadedKernel& loaded = kernels_[kernel.name];
  loaded.entries_before = static_cast<size_t>(call.entries_before);
  try {
    loaded.product = make_product(kernel, what, files);
  } catch (const RuntimeError& error) {
    throw LibraryError(fmt::format("{} calls `{}`, which does not work here: {}", what,
                                   call.library, error.what()),
                       way_without(call.library), error.what());
  }
}

void Kernels::load(const PlanKernel& kernel, const std::filesystem::path& file, bool ptx) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored))
    throw RuntimeError(
        fmt::format("kernel `{}` cannot be loaded: there is no `{}`", kernel.name, file.string()),
        "compile the network again");
  libraries_.push_back(load_library(read_file(file), file.string(), ptx));
  std::vector<Entry>& entries = kernels_[kernel.name].entries;
  for (size_t i = 0; i < kernel.entries.size(); ++i) {
    Entry entry{nullptr, kernel.entries[i]};
    std::string name = fmt::format("kernel_{}", i);
    std::string what = fmt::format("`{}` of kernel `{}`", name, kernel.name);
    const LoadedLibrary& library = libraries_.back();
    cudaError_t found = cudaLibraryGetKernel(&entry.kernel, library.library.get(), name.c_str());
    check(found, fmt::format("finding {}{}", what, library.said()));
    prepare(entry, library, what);
    entries.push_back(entry);
  }
}

} // namespace netc::cuda
