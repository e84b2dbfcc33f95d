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

/// The system's C++ compiler: source to shared object for this machine.
class CpuToolchain {
public:
  /// `cache` is created when missing. Throws RuntimeError when no C++ compiler is installed.
  /// `compiler`: empty = the first of c++, g++, clang++ that is found.
  explicit CpuToolchain(std::filesystem::path cache, std::string compiler = {});

  /// Compiles what the cache does not hold, `parallel` jobs at once. A failure raises
  /// InternalError with the compiler's message: generated code is netc's responsibility.
  CompileStats compile(std::vector<CompileJob>& jobs, int parallel) const;

  const std::string& version() const { return version_; }
  /// Widest vectors of this machine: `avx512f`, `avx2` or `baseline`.
  const std::string& machine() const { return machine_; }

private:
  void compile_one(const CompileJob& job) const;

  CompileCache cache_;
  std::filesystem::path include_;
  std::string compiler_, version_, machine_, fingerprint_;
};

} // namespace netc
