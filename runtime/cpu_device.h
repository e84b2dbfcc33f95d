#pragma once
// The processor as a device: a team of threads that computes where the host's data lies.

#include "runtime/device.h"

namespace netc {

/// The processor's name as the system tells it, and its cores.
std::string processor_description();

/// All cores this process may use; `threads` of them.
std::unique_ptr<Device> open_cpu_device(const DeviceSpec& spec);

} // namespace netc
