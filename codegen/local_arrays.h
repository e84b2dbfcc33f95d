#pragma once

#include "ir/kernel.h"

#include <cstdint>
#include <string>

namespace netc {

/// Gives a kernel's arrays their places in the memory of a parallel iteration: a thread's stack
/// (CPU) or a block's shared memory (CUDA), where the warps of a spread loop have arrays of their
/// own.
class LocalArrays {
public:
  /// `warps` that take turns with the iterations of spread loops.
  explicit LocalArrays(int warps) : warps_(warps) {}

  /// Where an array of `bytes` begins: bytes from the start, as C++ text.
  std::string add(int64_t bytes);
  /// The arrays that follow belong to iterations of this loop; those of a later one take the same
  /// places.
  void enter_spread(const kernel::StmtNode& loop);
  void leave_spread();
  bool in_spread() const { return warp_bytes_ >= 0; }
  /// Bytes that all arrays so far need together.
  int64_t bytes() const { return most_; }

private:
  int warps_;
  int64_t next_ = 0, most_ = 0;
  int64_t begin_ = 0;       ///< Of the warps' arrays.
  int64_t warp_bytes_ = -1; ///< What each warp has; -1 outside spread loops.
};

/// Bytes of an array, up to the next multiple of 16.
int64_t array_bytes(const kernel::StmtNode& alloc);

} // namespace netc
