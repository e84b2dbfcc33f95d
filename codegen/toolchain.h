#pragma once
// C++ text to binaries with the system's compiler; the headers that all kernels include.

#include "codegen/compile_jobs.h"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace netc {

/// The headers generated kernels include, by the name they include them by.
const std::map<std::string, std::string>& device_files();

/// What the system's C++ compiler makes: kernels of the `cpu` dialect for this machine, or CUDA
/// text over the checking shim of device/emu, for the emulator (see ir/emulator_abi.h).
enum class HostKernels { cpu, emu };

/// What the emulator's toolchain makes of CUDA text: lines keep their numbers, in a file named
/// `kernel.cu`, and each of the text's `kernel_i` gets an exported entry `emulate_i`.
std::string emulator_source(const std::string& text);

/// The system's C++ compiler: source to shared object.
class CpuToolchain {
public:
  /// `cache` is created when missing. Throws RuntimeError when no C++ compiler is installed.
  /// `compiler`: empty = the first of c++, g++, clang++ that is found.
  explicit CpuToolchain(std::filesystem::path cache, std::string compiler = {},
                        HostKernels kernels = HostKernels::cpu);

  /// Compiles what the cache does not hold, `parallel` jobs at once. A failure raises
  /// InternalError with the compiler's message: generated code is netc's responsibility.
  CompileStats compile(std::vector<CompileJob>& jobs, int parallel) const;

  const std::string& version() const { return version_; }
  /// Vectors the binaries need: `avx512f`, `avx2` or `baseline`.
  const std::string& machine() const { return machine_; }

private:
  void compile_one(const CompileJob& job) const;
  std::string text_of(const CompileJob& job) const; ///< What the compiler reads.

  HostKernels kernels_;
  CompileCache cache_;
  std::filesystem::path include_;
  std::string compiler_, version_, machine_, fingerprint_;
};

} // namespace netc
