#pragma once
// The checking emulator: runs CUDA text that was compiled for the host (codegen/device/emu), block
// by block, and stops at the first thing that is wrong with it.

#include "ir/emulator_abi.h"
#include "ir/support/error.h"
#include "runtime/emu/shadow.h"

#include <memory>
#include <optional>
#include <span>
#include <string>

namespace netc {

class EmulatedBlock;

/// A parameter of a kernel.
struct EmulatorBuffer {
  std::string name;
  std::byte* data = nullptr; ///< Aligned as on the device: to 16 bytes at least.
  int64_t bytes = 0;
  EmulatorShadow* shadow = nullptr; ///< At least as large.
};

/// One entry of a kernel with its arguments.
struct EmulatorLaunch {
  std::string kernel{}; ///< For messages.
  int entry = 0;        ///< i of kernel_i, for messages.
  emu::EntryFunction function = nullptr;
  int64_t blocks = 1;
  int threads = 1; ///< Of a block, at most 1024.
  int64_t shared_bytes = 0;
  std::span<const EmulatorBuffer> buffers{};
};

/// A line of generated text or of a template, as the compiler named it.
struct EmulatorPlace {
  std::string file;
  int line = 0; ///< 0: not known.
};

/// What is wrong with a kernel, found while it ran. Generated text is netc's, so the fault is, too.
class EmulatorFault : public InternalError {
public:
  /// The other thread of a race or of a divergence.
  struct Party {
    int64_t block = 0;
    int thread = -1; ///< -1: one of several that read, the last at `place`.
    EmulatorPlace place{};
    bool ended = false; ///< It has left the kernel instead of arriving.
  };
  struct Details {
    emu::Fault kind{};
    std::string kernel{};
    std::string
        step{}; ///< What the kernel computes, with its place in the description; may be empty.
    int entry = 0;
    int64_t block = 0;
    int thread = 0;
    EmulatorPlace place{};
    std::string buffer{}; ///< Empty: shared memory, or a divergence.
    int64_t offset = 0;   ///< In bytes from the start of the buffer, or of shared memory.
    int64_t size = 0;     ///< Of the buffer or of all shared memory, in bytes; 0 of neither.
    int bytes = 0;        ///< Of the access; 0 of a divergence.
    bool writes = false;
    std::optional<Party> other{};
  };

  explicit EmulatorFault(Details details);
  const Details& details() const { return details_; }

private:
  Details details_;
};

/// A device that runs one launch after the other on the calling thread. Different emulators may
/// run at the same time on different threads, but not on the same shadows.
class Emulator {
public:
  Emulator();
  ~Emulator();
  Emulator(const Emulator&) = delete;
  Emulator& operator=(const Emulator&) = delete;

  /// Returns when all blocks are done. Throws EmulatorFault at the first fault; buffers are then as
  /// the kernel left them. Throws RuntimeError when the system has no room.
  void launch(const EmulatorLaunch& launch);

private:
  std::unique_ptr<EmulatedBlock> block_;
};

} // namespace netc
