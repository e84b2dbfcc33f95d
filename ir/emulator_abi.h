#pragma once
// The calling convention between the runtime's emulator and CUDA text compiled for the host. Plain
// C++ without includes: the same text is compiled into netc and into every emulated kernel.

namespace netc::emu {

/// A line of a source file, in one word, so that a shadow cell can hold it. As a defaulted argument
/// it is the place of the call.
struct Place {
  static constexpr int line_bits = 16;
  unsigned long bits;

  Place(int line = __builtin_LINE(), const char* file = __builtin_FILE())
      : bits(reinterpret_cast<unsigned long>(file) << line_bits |
             static_cast<unsigned long>(line < 1 << line_bits ? line : (1 << line_bits) - 1)) {}
  explicit Place(unsigned long packed) : bits(packed) {}
  int line() const { return static_cast<int>(bits & ((1 << line_bits) - 1)); }
  const char* file() const { return reinterpret_cast<const char*>(bits >> line_bits); }
};

/// Who acts when: interval between barriers, warp interval, thread. Later intervals, blocks and
/// launches have larger stamps. 0: never; the layout is the emulator's (runtime/emu/stamp.h).
using Stamp = unsigned long;

/// What is known about four bytes, or about one (see Shadow): who wrote and who read last, where.
struct Cell {
  Stamp writer = 0; ///< 0: not initialised.
  Stamp reader = 0;
  unsigned long writer_place = 0; ///< Place::bits; 0: the host.
  unsigned long reader_place = 0;
};

/// The cells of a piece of memory: one for every word of four bytes, or, once it has been accessed
/// in smaller pieces, for every byte.
struct Shadow {
  Cell* cells = nullptr;
  int shift = 2; ///< Bytes of a cell as a power of two: 2 or 0.
};

class Machine;

/// Memory whose accesses are checked: a buffer of the launch, or the block's shared memory.
struct Region {
  unsigned char* data = nullptr;
  long bytes = 0;
  Shadow* shadow = nullptr;
  Machine* machine = nullptr;
  Stamp readable_from = 1; ///< What was written before holds nothing: not initialised.
  Stamp settled = 0;       ///< Accesses before are ordered before those of the running thread.
};

/// What may be wrong with a kernel.
enum class Fault {
  out_of_bounds,
  uninitialised,
  race,
  pending_copy, ///< Access to memory that a copy under way will write.
  unawaited,    ///< Matrix products of a warpgroup that nobody waits for, or that are in no group.
  misaligned,
  divergence, ///< A barrier or warp operation that others of the block or warp do not reach.
};

/// What the lanes of a warp do together.
enum class WarpOperation { barrier, shuffle, shuffle_xor, mma_tf32, mma_bf16 };

/// Operands of one lane. `value` receives the result.
struct Shuffle {
  unsigned value;
  int selector; ///< Lane to read from, or mask.
};
/// Operands of one lane, in the fragments of PTX; `d` receives the result.
struct MatrixProduct {
  float* d;
  const unsigned* a;
  const unsigned* b;
};

/// The block that runs and the thread whose turn it is. Kernels read the fields, the emulator
/// writes them.
class Machine {
public:
  Stamp now = 0; ///< Of the running thread.
  long block = 0, blocks = 0;
  int lane = 0, lanes = 0;
  Region shared;
  Region* buffers = nullptr; ///< The kernel's parameters, in order.

  virtual void barrier(Place place) = 0;
  /// `operands`: Shuffle or MatrixProduct; nullptr for a barrier.
  virtual void warp_operation(WarpOperation what, void* operands, Place place) = 0;

  /// Copies `bytes` to `offset` of shared memory once the thread waits for it; from nullptr: zeros.
  virtual void copy_async(long offset, const unsigned char* from, int bytes, Place place) = 0;
  virtual void copy_commit() = 0;
  virtual void copy_wait(int pending, Place place) = 0;

  /// Accesses that comparing with `readable_from` and `settled` does not decide.
  virtual void read(Region& region, Cell& cell, Place place) = 0;
  virtual void write(Region& region, Cell& cell, Place place) = 0;
  /// Gives the region a cell for every byte.
  virtual void refine(Region& region) = 0;
  /// Ends the launch. `offset` counts from the start of the region.
  [[noreturn]] virtual void fail(Fault fault, const Region* region, long offset, int bytes,
                                 Place place) = 0;

protected:
  ~Machine() = default;
};

/// Exported by a compiled text for each of its kernels: runs one thread of it.
using EntryFunction = void (*)(Machine& machine);

} // namespace netc::emu
