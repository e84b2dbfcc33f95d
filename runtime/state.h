#pragma once
// State tensors as the host knows them, whole, and as devices have them.

#include "runtime/loaded_device.h"

#include <functional>
#include <span>

namespace netc {

/// A state tensor as the host reads it, whole and row-major as in checkpoints.
struct StateValues {
  std::span<const float> values; ///< Of a device's memory, or of `copy`.
  std::vector<float> copy;       ///< Filled where no memory that the host sees has all of it.

  StateValues(std::span<const float> seen, std::vector<float> owned)
      : values(owned.empty() ? seen : std::span<const float>(owned)), copy(std::move(owned)) {}
  StateValues(StateValues&&) = default;
  StateValues& operator=(StateValues&&) = default;
};

/// The values of a state tensor, put together from what devices have of it; InternalError when none
/// has anything.
StateValues read_state(const std::vector<LoadedDevice>& devices, const std::string& name);

/// Calls `fill` with the values of a state tensor, all of which it sets, and gives every device
/// what it has of them.
void write_state(const std::vector<LoadedDevice>& devices, const std::string& name,
                 const std::function<void(std::span<float>)>& fill);

} // namespace netc
