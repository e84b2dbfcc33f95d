#pragma once
// The checking emulator as a device: CUDA text on the host, every access checked.

#include "runtime/device.h"

namespace netc {

std::unique_ptr<Device> open_emu_device(const DeviceSpec& spec);

} // namespace netc
