#pragma once
// CUDA text to binaries with NVRTC, NVIDIA's compiler library, which needs no GPU. It is opened at
// run time: netc builds and runs without it.

#include "codegen/compile_jobs.h"
#include "ir/target.h"

#include <memory>
#include <string>
#include <vector>

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
  /// RuntimeError that says what to do unless it is available.
  void check_available() const;
  /// The compute capabilities x 10 that it compiles for, ascending; empty where not available.
  const std::vector<int>& capabilities() const { return capabilities_; }

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
  /// RuntimeError when NVRTC is missing.
  std::string fingerprint(const std::string& arch) const;

private:
  /// What tells updates of a version apart: 13.0.1 and 13.0.2 are both 13.0 to nvrtcVersion.
  const std::string& build() const;
  std::string compile(const std::string& source, const std::string& arch, bool resources,
                      std::string& log, bool& failed) const;
  struct Library;
  std::unique_ptr<Library> library_;
  std::string version_;
  std::vector<int> capabilities_;
};

/// What kernels for a GPU of compute capability `gpu` / 10 are compiled for by a compiler that
/// knows `known` (ascending): `sm_N` where it knows the GPU, else PTX for the newest GPU before it,
/// which the driver compiles. Empty when it knows none before.
std::string arch_for(int gpu, const std::vector<int>& known);

/// Whether a compiler that knows `known` compiles for `sm_N` or `compute_N`; the suffix `a` is for
/// GPUs from sm_90 on, `f` for those from sm_100 on.
bool knows_arch(const Target& target, const std::vector<int>& known);

} // namespace netc
