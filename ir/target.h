#pragma once
// What a plan is compiled for.

#include <string>
#include <string_view>

namespace netc {

/// A machine that kernels are compiled for: `cpu`, `cuda:sm_90` (a binary for GPUs of that compute
/// capability; `cuda:sm_90a` with what only that one has; `cuda:compute_90`: PTX, which newer GPUs
/// compile when it is loaded) or `emu` (the CUDA text for sm_90a on the host, with checks;
/// `emu:sm_80` that for other GPUs).
struct Target {
  enum class Kind { cpu, cuda, emu };
  Kind kind = Kind::cpu;
  std::string arch{}; ///< Of cuda: `sm_90`, `sm_90a`, `compute_90`; of emu: the GPU's, not PTX.

  bool operator==(const Target&) const = default;
  std::string str() const;
  /// Kernels are CUDA C++; else they are C++.
  bool has_cuda_text() const { return kind != Kind::cpu; }
  /// Compute capability x 10 (90 for `sm_90a`); 0 of the CPU.
  int capability() const;
  /// It has the matrix instructions of a warpgroup: sm_90a does.
  bool has_warpgroups() const;
  /// Plans hold PTX, which must fit newer GPUs, too.
  bool is_ptx() const;
  /// Shared memory one block may have, in bytes; 0 on the CPU. (CUDA C++ Programming Guide, table
  /// of technical specifications per compute capability.) Of PTX, and of GPUs that are not in the
  /// table, the least of all that may run it.
  int shared_bytes() const;
};

/// What the system takes of a multiprocessor's shared memory for each block, beside what it asks
/// for.
constexpr int reserved_shared_bytes = 1024;

/// Parses what str() prints; anything else is a UserError that lists what may stand there.
Target parse_target(std::string_view text);

/// How a contraction multiplies; sums are f32.
enum class Precision {
  fp32,   ///< f32 fused multiply-adds.
  x3tf32, ///< Three TF32 products of high and low parts: nearly as exact as f32, on tensor cores.
  tf32,   ///< Operands rounded to 10 bits of mantissa.
  bf16,   ///< Operands rounded to bf16, 7 bits of mantissa.
};

/// `fp32`, `3xtf32`, `tf32`, `bf16`.
std::string_view to_string(Precision precision);
/// The inverse; anything else is a UserError that lists what may stand there.
Precision parse_precision(std::string_view text);

/// What contractions use unless the user says otherwise: TF32 where there are tensor cores (and on
/// the emulator, which stands in for them), else f32.
Precision default_precision(const Target& target);

/// The precision that runs on `target`: the CPU and GPUs before sm_80 have f32 alone.
bool supports(const Target& target, Precision precision);

} // namespace netc
