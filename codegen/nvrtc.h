#pragma once
// CUDA text to binaries with NVRTC, NVIDIA's compiler library, which needs no GPU. It is opened at
// run time: netc builds and runs without it.

#include "codegen/compile_jobs.h"

#include <memory>
#include <string>

namespace netc {

/// NVRTC, where this machine has it. Compiling is safe from several threads at once.
class NvrtcToolchain {
public:
  /// Looks for the library; never throws. Built with -DNETC_CUDA=OFF, it does not look.
  NvrtcToolchain();
  ~NvrtcToolchain();
  NvrtcToolchain(const NvrtcToolchain&) = delete;
  NvrtcToolchain& operator=(const NvrtcToolchain&) = delete;

  bool available() const { return library_ != nullptr; }
  /// `NVRTC 13.0`; empty where it is not available.
  const std::string& version() const { return version_; }

  /// Compiles a kernel's text; the headers it includes are the embedded ones (device_files()).
  /// `arch`: `sm_90` gives a cubin of that device, `compute_90` PTX. `log` receives what the
  /// compiler says, warnings too. Throws InternalError with the log when the text does not compile
  /// (generated code is netc's responsibility), RuntimeError when NVRTC is missing or fails itself.
  std::string compile(const std::string& source, const std::string& arch, std::string& log) const;

  /// Compiles what the cache does not hold for `arch`, `parallel` jobs at once, and fills in what
  /// the compiler says of the jobs' entries: registers and spills (PTX: nothing). A text that does
  /// not compile raises InternalError with its line and the layers that use it.
  CompileStats compile(std::vector<CompileJob>& jobs, int parallel, const std::string& arch,
                       const std::filesystem::path& cache) const;

  /// All that a binary for `arch` depends on but its source: compiler, options, headers.
  std::string fingerprint(const std::string& arch) const;

private:
  std::string compile(const std::string& source, const std::string& arch, bool resources,
                      std::string& log, bool& failed) const;
  struct Library;
  std::unique_ptr<Library> library_;
  std::string version_;
};

} // namespace netc
