#pragma once
// A device of a session with what the programs of a plan share there: state and one arena.

#include "runtime/device.h"

#include <map>

namespace netc {

/// A state tensor on a device, or the part of one that the device has, row-major.
struct DeviceState {
  DeviceMemory memory;
  Shape whole; ///< Of all of the tensor.
  Box box;     ///< What of it lies here.

  bool is_whole() const { return shape_of(box) == whole; }
};

struct LoadedDevice {
  std::unique_ptr<Device> device; ///< Before all that it lends.
  DeviceMemory arena;
  std::map<std::string, DeviceState> state;

  /// Where a buffer of state or arena that is no alias lies; null for feeds and outputs.
  std::byte* address(const Buffer& buffer) const;
};

/// The plan's programs of one device, and its state there: (name, whole shape, box). RuntimeError
/// when the programs disagree about the state.
struct DeviceNeeds {
  struct State {
    Shape whole;
    Box box;
  };
  std::vector<const Program*> programs;
  std::map<std::string, State> state;
  int64_t arena_bytes = 0;

  DeviceNeeds(const Plan& plan, int device);
  /// Of arena and state.
  int64_t bytes() const;
};

/// Allocates what `needs` says.
void allocate(LoadedDevice& loaded, const DeviceNeeds& needs);

} // namespace netc
