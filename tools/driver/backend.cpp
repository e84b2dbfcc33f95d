#include "tools/driver/backend.h"

#include "codegen/nvrtc.h"
#include "ir/support/diagnostics.h"

#include <fmt/ranges.h>

namespace netc {

namespace {

Backend host_backend(const std::filesystem::path& cache, HostKernels kernels) {
  auto toolchain = std::make_shared<const CpuToolchain>(cache, std::string(), kernels);
  bool cpu = kernels == HostKernels::cpu;
  return {.version = toolchain->version(),
          .machine = toolchain->machine(),
          .source_suffix = cpu ? ".cpp" : ".cu",
          .binary_suffix = ".so",
          .compile = [toolchain](std::vector<CompileJob>& jobs, int parallel) {
            return toolchain->compile(jobs, parallel);
          }};
}

Backend cuda_backend(const Target& target, const std::filesystem::path& cache) {
  auto nvrtc = std::make_shared<const NvrtcToolchain>();
  nvrtc->check_available();
  if (!knows_arch(target, nvrtc->capabilities()))
    user_error(fmt::format("{} compiles nothing for `{}`", nvrtc->version(), target.str()),
               fmt::format("it knows sm_{}", fmt::join(nvrtc->capabilities(), ", sm_")));
  const std::string& arch = target.arch;
  return {.version = nvrtc->version(),
          .machine = arch,
          .source_suffix = ".cu",
          .binary_suffix = arch.starts_with("compute_") ? ".ptx" : ".cubin",
          .compile = [nvrtc, arch, cache](std::vector<CompileJob>& jobs, int parallel) {
            return nvrtc->compile(jobs, parallel, arch, cache);
          }};
}

} // namespace

Backend make_backend(const Target& target, const std::filesystem::path& cache) {
  switch (target.kind) {
  case Target::Kind::cpu:
    return host_backend(cache, HostKernels::cpu);
  case Target::Kind::emu:
    return host_backend(cache, HostKernels::emu);
  case Target::Kind::cuda:
    break;
  }
  return cuda_backend(target, cache);
}

Target compile_target(const Device& device) {
  Target target = device.target();
  if (target.kind != Target::Kind::cuda)
    return target;
  std::string arch = arch_for(target.capability(), NvrtcToolchain().capabilities());
  return arch.empty() ? target : Target{Target::Kind::cuda, arch};
}

std::vector<PlanKernel> place_kernels(const KernelSet& kernels, const std::vector<CompileJob>& jobs,
                                      const Backend& backend, const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder / "kernels");
  std::vector<PlanKernel> list;
  for (size_t i = 0; i < jobs.size(); ++i) {
    const KernelSet::Entry& entry = kernels.entries()[i];
    std::error_code error;
    std::filesystem::copy_file(jobs[i].binary,
                               folder / "kernels" / (entry.name + backend.binary_suffix),
                               std::filesystem::copy_options::overwrite_existing, error);
    if (error)
      throw RuntimeError(
          fmt::format("copying a kernel into `{}` failed: {}", folder.string(), error.message()));
    list.push_back({entry.name, jobs[i].key, entry.implementation, entry.precision, jobs[i].entries,
                    entry.library});
  }
  return list;
}

std::vector<PlanKernel> compile_kernels(const KernelSet& kernels, const Backend& backend,
                                        int parallel, const std::filesystem::path& folder) {
  std::vector<CompileJob> jobs = jobs_of(kernels);
  backend.compile(jobs, parallel);
  return place_kernels(kernels, jobs, backend, folder);
}

} // namespace netc
