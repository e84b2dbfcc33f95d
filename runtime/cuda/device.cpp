// What cuda.h promises, with the CUDA runtime linked in. That needs no driver to start.

#include "ir/support/error.h"
#include "runtime/cuda/cuda.h"
#include "runtime/cuda/program.h"

#include <algorithm>
#include <cstring>

namespace netc {

namespace {

using cuda::check;

std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

Gpu gpu_of(int ordinal) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, ordinal), "asking for the GPU's properties");
  return {properties.name, properties.major * 10 + properties.minor,
          static_cast<int64_t>(properties.totalGlobalMem)};
}

/// A GPU, or a share of it: streams, kernels and accounts are its own, the context is the
/// process's.
class CudaDevice : public Device {
public:
  CudaDevice(const DeviceSpec& spec, int ordinal)
      : Device(spec), ordinal_(ordinal), gpu_(gpu_of(ordinal)) {
    use();
    streams_ = std::make_unique<cuda::Streams>();
  }
  /// What goes with it, the handles of libraries above all, belongs to its GPU; one that has failed
  /// takes nothing back.
  ~CudaDevice() override { cudaSetDevice(ordinal_); }

  std::string description() const override { return describe(gpu_); }
  Target target() const override {
    return {Target::Kind::cuda, fmt::format("sm_{}", gpu_.capability)};
  }
  bool runs(const Target& target) const override { return runs_on_gpu(target, gpu_.capability); }
  bool host_visible() const override { return false; }
  /// One computes, one is being uploaded, one is being filled.
  int slots() const override { return 3; }
  std::vector<std::string> notes() const override { return notes_; }

  void write(std::byte* to, const void* from, int64_t bytes) override {
    copy(to, from, bytes, cudaMemcpyHostToDevice);
  }
  void read(void* to, const std::byte* from, int64_t bytes) override {
    copy(to, from, bytes, cudaMemcpyDeviceToHost);
  }

  void load(const Plan& plan, const std::filesystem::path& folder) override {
    use();
    kernels_ = std::make_unique<cuda::Kernels>(plan, parse_target(plan.target), folder);
  }

  std::unique_ptr<DeviceProgram> bind(Binding binding) override {
    use();
    auto program =
        std::make_unique<cuda::Program>(name(), ordinal_, *streams_, *kernels_, std::move(binding));
    const std::string& note = program->not_captured();
    if (!note.empty() && std::find(notes_.begin(), notes_.end(), note) == notes_.end())
      notes_.push_back(note); // not once a slot
    return program;
  }

  void synchronize() override {
    use();
    check(cudaStreamSynchronize(streams_->upload.get()), waiting());
    check(cudaStreamSynchronize(streams_->compute.get()), waiting());
  }

protected:
  std::byte* take(int64_t bytes, bool host) override;
  void give_back(std::byte* data, bool host) noexcept override;
  int64_t free_bytes() const override {
    use();
    size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), fmt::format("asking for the memory of `{}`", name()));
    return static_cast<int64_t>(free);
  }

private:
  void use() const { check(cudaSetDevice(ordinal_), fmt::format("choosing `{}`", name())); }
  std::string waiting() const { return fmt::format("waiting for `{}`", name()); }

  /// After everything on the compute stream, and done on return.
  void copy(void* to, const void* from, int64_t bytes, cudaMemcpyKind kind) {
    use();
    std::string doing = fmt::format("copying {} bytes to or from `{}`", bytes, name());
    cudaStream_t stream = streams_->compute.get();
    check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), kind, stream), doing);
    check(cudaStreamSynchronize(stream), doing);
  }

  int ordinal_;
  Gpu gpu_;
  std::unique_ptr<cuda::Streams> streams_;
  std::unique_ptr<cuda::Kernels> kernels_;
  std::vector<std::string> notes_;
};

std::byte* CudaDevice::take(int64_t bytes, bool host) {
  use();
  void* data = nullptr;
  size_t size = static_cast<size_t>(bytes);
  if (host) {
    check(cudaHostAlloc(&data, size, cudaHostAllocDefault),
          fmt::format("pinning {} bytes of the host's memory", bytes));
    std::memset(data, 0, size);
    return static_cast<std::byte*>(data);
  }
  check(cudaMalloc(&data, size), fmt::format("allocating {} bytes on `{}`", bytes, name()));
  cudaError_t cleared = cudaMemsetAsync(data, 0, size, streams_->compute.get());
  if (cleared == cudaSuccess)
    cleared = cudaStreamSynchronize(streams_->compute.get()); // other streams use it, too
  if (cleared != cudaSuccess)
    give_back(static_cast<std::byte*>(data), false);
  check(cleared, fmt::format("clearing memory of `{}`", name()));
  return static_cast<std::byte*>(data);
}

void CudaDevice::give_back(std::byte* data, bool host) noexcept {
  // A device that has failed takes nothing back; the process's end does.
  if (cudaSetDevice(ordinal_) == cudaSuccess)
    host ? cudaFreeHost(data) : cudaFree(data);
}

} // namespace

CudaState cuda_state() {
  CudaState state;
  int version = 0, count = 0;
  if (cudaRuntimeGetVersion(&version) == cudaSuccess)
    state.runtime = version_text(version);
  if (cudaDriverGetVersion(&version) == cudaSuccess && version > 0)
    state.driver = version_text(version);
  cudaError_t error = cudaGetDeviceCount(&count);
  if (state.driver.empty()) {
    state.problem = "no NVIDIA driver is installed, " + cuda::error_text(error);
    state.hint = fmt::format("install one for CUDA {} or newer", state.runtime);
    return state;
  }
  try {
    check(error, "looking for GPUs");
    for (int i = 0; i < count; ++i)
      state.gpus.push_back(gpu_of(i));
  } catch (const RuntimeError& failure) {
    state.gpus.clear();
    state.problem = failure.what();
    state.hint = failure.hint();
  }
  if (state.problem.empty() && state.gpus.empty()) {
    state.problem = "looking for GPUs found none";
    state.hint = cuda::error_hint(cudaErrorNoDevice);
  }
  return state;
}

std::string library_problem(const std::string& library) {
  try {
    if (library == "cudnn")
      cuda::Cudnn{cuda::cudnn_files()};
    else
      cuda::CublasLt{cuda::cublaslt_files()};
    return {};
  } catch (const RuntimeError& error) {
    return error.what();
  }
}

std::unique_ptr<Device> open_cuda_device(const DeviceSpec& spec, int index) {
  CudaState state = cuda_state();
  int count = static_cast<int>(state.gpus.size());
  if (!state.problem.empty())
    throw RuntimeError(fmt::format("there is no device `{}`: {}", spec.name, state.problem),
                       fmt::format("{}; `--device cpu:0` needs no GPU", state.hint));
  if (index >= count)
    throw RuntimeError(fmt::format("there is no device `{}`: this machine has {} GPU{}", spec.name,
                                   count, count == 1 ? "" : "s"),
                       "`netc devices` lists them");
  if (const Gpu& gpu = state.gpus[static_cast<size_t>(index)]; gpu.capability < oldest_capability)
    throw RuntimeError(fmt::format("`{}` ({}) is too old: netc has kernels for GPUs from sm_{} on",
                                   spec.name, describe(gpu), oldest_capability),
                       "`--device cpu:0` needs no GPU");
  return std::make_unique<CudaDevice>(spec, index);
}

} // namespace netc
