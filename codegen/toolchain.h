#pragma once
// Text to binaries: compilers behind one interface, with a disk cache.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace netc {

/// The headers generated kernels include, by the name they include them by.
const std::map<std::string, std::string>& device_files();

/// A kernel's source and, once compiled, its binary in the cache.
struct CompileJob {
  std::string name; ///< For messages.
  std::string source;
  std::string key{};              ///< Filled: names source, headers, options and compiler.
  std::filesystem::path binary{}; ///< Filled: a file in the cache.
};

struct CompileStats {
  int hits = 0;
  int misses = 0;
  double seconds = 0;
};

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
  std::filesystem::path cache_, include_;
  std::string compiler_, version_, machine_, fingerprint_;
};

/// Where binaries are cached unless the user says otherwise: the user's cache folder, or one below
/// the system's folder for temporary files.
std::filesystem::path default_cache();

} // namespace netc
