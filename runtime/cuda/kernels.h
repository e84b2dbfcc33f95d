#pragma once
// The kernels of a plan on a GPU.

#include "ir/plan.h"
#include "ir/target.h"
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

/// Loaded kernels by name. The device that is current when they are loaded is theirs.
class Kernels {
public:
  /// Loads `folder/kernels/<name>.cubin`, or `.ptx`, as the target says. Throws RuntimeError when a
  /// file is missing, the driver refuses it, or the GPU cannot launch it as the plan demands.
  Kernels(const Plan& plan, const Target& target, const std::filesystem::path& folder);

  /// The entries of a kernel of the plan, in order.
  const std::vector<Entry>& entries(const std::string& kernel) const { return kernels_.at(kernel); }

private:
  void load(const PlanKernel& kernel, const std::filesystem::path& file, bool ptx);

  std::vector<LoadedLibrary> libraries_;
  std::map<std::string, std::vector<Entry>> kernels_;
};

} // namespace netc::cuda
