#pragma once
// The kernels of a plan on a GPU.

#include "ir/plan.h"
#include "ir/target.h"
#include "runtime/cuda/cublaslt.h"
#include "runtime/cuda/cudnn.h"
#include "runtime/cuda/handles.h"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace netc::cuda {

/// An entry of a kernel, ready to be launched.
struct Entry {
  cudaKernel_t kernel = nullptr;
  KernelEntry launch;
};

/// What the driver has loaded of a file. It compiles PTX when a kernel is first asked for and
/// writes into the log then, so that the log lives as long as the library.
struct LoadedLibrary {
  std::unique_ptr<char[]> log; ///< Of the driver's compiler; none of a cubin.
  Library library;             ///< Goes before the log.

  /// ` (what the driver's compiler said)`; empty when it said nothing.
  std::string said() const;
};

/// What a step launches: some entries, what a library computes, the other entries.
struct LoadedKernel {
  std::unique_ptr<LibraryProduct> product; ///< Null where no library is called.
  size_t entries_before = 0;               ///< The product.
  std::vector<Entry> entries;
};

/// Where libraries are looked for.
struct LibraryFiles {
  std::vector<std::string> cublaslt = cublaslt_files();
  std::vector<std::string> cudnn = cudnn_files();
};

/// Loaded kernels by name. The device that is current when they are loaded is theirs.
class Kernels {
public:
  /// Loads `folder/kernels/<name>.cubin`, or `.ptx`, as the target says, and the libraries that the
  /// plan calls. Throws RuntimeError when a file is missing, the driver or a library refuses, or
  /// the GPU cannot launch it as the plan demands.
  Kernels(const Plan& plan, const Target& target, const std::filesystem::path& folder,
          const LibraryFiles& files = {});

  /// A kernel of the plan.
  const LoadedKernel& kernel(const std::string& name) const { return kernels_.at(name); }

private:
  void load(const PlanKernel& kernel, const std::filesystem::path& file, bool ptx);
  void load_product(const Plan& plan, const PlanKernel& kernel, const LibraryFiles& files);
  std::unique_ptr<LibraryProduct> make_product(const PlanKernel& kernel, const std::string& what,
                                               const LibraryFiles& files);

  std::vector<LoadedLibrary> libraries_;
  std::unique_ptr<CublasLtHandle> cublaslt_; ///< Null until a kernel calls it,
  std::unique_ptr<CudnnHandle> cudnn_;       ///< so, too.
  std::map<std::string, LoadedKernel> kernels_;
};

} // namespace netc::cuda
