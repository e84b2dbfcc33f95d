#pragma once
// The compiler of a target, as the driver sees it.

#include "codegen/compile_jobs.h"
#include "codegen/toolchain.h"
#include "ir/target.h"

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
  std::shared_ptr<const CpuToolchain>
      cpu; ///< Of the target `cpu`; candidates are measured with it.
};

/// Throws RuntimeError when the target's compiler is not on this machine.
Backend make_backend(const Target& target, const std::filesystem::path& cache);

} // namespace netc
