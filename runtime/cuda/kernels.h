#pragma once
// The kernels of a plan on a GPU.

#include "ir/plan.h"
#include "ir/target.h"
#include "runtime/cuda/cublaslt.h"
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

/// What a step launches, in order.
struct LoadedKernel {
  std::unique_ptr<MatrixProduct> product; ///< Null where no library is called.
  std::vector<Entry> entries;
};

/// Loaded kernels by name. The device that is current when they are loaded is theirs.
class Kernels {
public:
  /// Loads `folder/kernels/<name>.cubin`, or `.ptx`, as the target says, and one of `cublaslt`, if
  /// the plan calls it. Throws RuntimeError when a file is missing, the driver or the library
  /// refuses it, or the GPU cannot launch it as the plan demands.
  Kernels(const Plan& plan, const Target& target, const std::filesystem::path& folder,
          const std::vector<std::string>& cublaslt = cublaslt_files());

  /// A kernel of the plan.
  const LoadedKernel& kernel(const std::string& name) const { return kernels_.at(name); }

private:
  void load(const PlanKernel& kernel, const std::filesystem::path& file, bool ptx);
  void load_product(const Plan& plan, const PlanKernel& kernel,
                    const std::vector<std::string>& cublaslt);

  std::vector<LoadedLibrary> libraries_;
  std::unique_ptr<CublasLtHandle> cublaslt_; ///< Null until a kernel calls it.
  std::map<std::string, LoadedKernel> kernels_;
};

} // namespace netc::cuda
