#pragma once
// What the emulator knows about each byte of a buffer.

#include "ir/emulator_abi.h"
#include "runtime/memory.h"

namespace netc {

/// The shadow of one buffer: which bytes are initialised, and who accessed them last. It belongs to
/// one emulator, whose stamps it holds; buffers that are the same memory share one. Takes eight
/// times the buffer's memory (32 times, once a kernel accesses single bytes), as far as it is used.
class EmulatorShadow {
public:
  /// Nothing is initialised. Throws RuntimeError when the system has no room.
  explicit EmulatorShadow(int64_t bytes);
  EmulatorShadow(const EmulatorShadow&) = delete;
  EmulatorShadow& operator=(const EmulatorShadow&) = delete;

  /// The host has written the buffer, or part of it (rounded outwards to words of four bytes).
  void set_initialised();
  void set_initialised(int64_t offset, int64_t bytes);
  /// What the buffer holds has no meaning any more.
  void set_uninitialised();

  /// The first of the first `bytes` that nobody has written, or -1.
  int64_t first_uninitialised(int64_t bytes) const;

  int64_t bytes() const { return bytes_; }
  emu::Shadow* cells() { return &shadow_; }
  /// Gives every byte a cell of its own.
  void refine();

private:
  int64_t count() const; ///< Of cells.
  int64_t bytes_;
  Memory memory_;
  emu::Shadow shadow_;
};

} // namespace netc
