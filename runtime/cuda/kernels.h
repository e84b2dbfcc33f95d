#pragma once
// The kernels of a plan on a GPU.

#include "ir/plan.h"
#include "ir/target.h"
#include "runtime/cuda/handles.h"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace netc::cuda {

/// An entry of a kernel, ready to be launched.
struct Entry {
  cudaKernel_t kernel = nullptr;
  KernelEntry launch;
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
  void load(const PlanKernel& kernel, const std::filesystem::path& file);

  std::vector<Library> libraries_;
  std::map<std::string, std::vector<Entry>> kernels_;
};

} // namespace netc::cuda
