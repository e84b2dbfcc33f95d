#include "runtime/byte_text.h"
#include "runtime/cuda/cuda.h"

namespace netc {

bool runs_on_gpu(const Target& target, int capability) {
  if (target.kind != Target::Kind::cuda)
    return false;
  int compiled = target.capability();
  bool this_one_only = target.arch.ends_with('a');
  bool this_family_only = target.arch.ends_with('f') || !target.arch.starts_with("compute_");
  if (this_one_only)
    return capability == compiled;
  return capability >= compiled && (!this_family_only || capability / 10 == compiled / 10);
}

std::string describe(const Gpu& gpu) {
  return fmt::format("{}, sm_{}, {}", gpu.name, gpu.capability, byte_text(gpu.memory_bytes));
}

} // namespace netc
