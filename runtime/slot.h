#pragma once
// The feeds and outputs of a program as the host sees them, and runs of the program over them.

#include "runtime/loaded_device.h"

#include <span>

namespace netc {

/// Feeds (or outputs) lie together, so that one copy moves them, each where any kernel may load
/// vectors from.
inline constexpr int64_t feed_alignment = 256;

inline int64_t feed_aligned(int64_t bytes) {
  return (bytes + feed_alignment - 1) / feed_alignment * feed_alignment;
}

/// Bytes of all feeds, or of all outputs, of a program.
int64_t block_bytes(const Program& program, Place place);

/// One of the sets of feeds and outputs of a program, over which it runs.
class Slot {
public:
  virtual ~Slot() = default;
  /// Whole tensors by name, in host memory. Feeds are written before start(), outputs read after
  /// wait().
  std::map<std::string, std::span<std::byte>> feeds, outputs;

  /// Runs the program on all its devices, as DeviceProgram says. With `times`, one for each step of
  /// each device, one device after the other, adds what each took.
  virtual void start(std::span<StepTime> times) = 0;
  virtual void wait() = 0;
  virtual bool done() = 0;
  /// Bytes of a device's feeds that lie in host memory, where the device reads them.
  virtual int64_t lent_bytes(size_t) const { return 0; }
  /// For tests: sets all bytes of the outputs.
  virtual void poison(std::byte value) = 0;
  /// For tests: brings the feeds back from the device as its last run left them. Those of several
  /// devices stay as the host wrote them.
  virtual void fetch_feeds() {}
};

/// Sets all bytes of memory on a device.
void fill_memory(Device& device, const DeviceMemory& memory, std::byte value);

/// The slot of a program for one device.
std::unique_ptr<Slot> one_device_slot(LoadedDevice& loaded, const Program& program);

} // namespace netc
