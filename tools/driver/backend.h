#pragma once
// The compiler of a target, as the driver sees it.

#include "codegen/program_builder.h"
#include "codegen/toolchain.h"
#include "ir/target.h"
#include "runtime/device.h"

#include <filesystem>
#include <functional>
#include <memory>

namespace netc {

/// Turns the kernels of a plan into binaries.
struct Backend {
  std::string version; ///< Of the compiler.
  std::string machine; ///< Instruction set the binaries need: `avx512f`, `sm_90`, ...
  std::string source_suffix, binary_suffix;
  std::function<CompileStats(std::vector<CompileJob>& jobs, int parallel)> compile;
};

/// What this machine's compiler makes for the device: binaries for it, or PTX for a GPU that is
/// newer than the compiler.
Target compile_target(const Device& device);

/// Throws RuntimeError when the target's compiler is not on this machine, UserError when it does
/// not know the GPUs of the target.
Backend make_backend(const Target& target, const std::filesystem::path& cache);

/// Copies the binaries of compiled jobs, those of jobs_of(kernels), to `folder`/kernels, where a
/// session looks for them; makes the folder. Returns what a plan says of them.
std::vector<PlanKernel> place_kernels(const KernelSet& kernels, const std::vector<CompileJob>& jobs,
                                      const Backend& backend, const std::filesystem::path& folder);
/// Compiles the kernels, so many at a time, and places them.
std::vector<PlanKernel> compile_kernels(const KernelSet& kernels, const Backend& backend,
                                        int parallel, const std::filesystem::path& folder);

} // namespace netc
