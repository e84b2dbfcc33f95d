#pragma once
// The devices of this machine by their names.

#include "runtime/device.h"

namespace netc {

/// A row of `netc devices`.
struct DeviceInfo {
  std::string name;
  std::string description;
};

/// All devices, `cpu:0` first.
std::vector<DeviceInfo> list_devices();

/// `cuda:0` where there is one that netc has kernels for, else `cpu:0`.
std::string default_device();

/// The first device that plans for `target` are for, whether this machine has it or not.
std::string device_for(const Target& target);

/// Opens a device. UserError when no device can have that name, RuntimeError when this machine or
/// this build lacks it.
std::unique_ptr<Device> open_device(const DeviceSpec& spec);

/// Divides the process's cores among several `cpu:` devices with at most `threads` threads each;
/// where the threads are more than the cores, all go anywhere.
std::vector<DeviceSpec> share_cores(std::vector<DeviceSpec> specs, int threads);

} // namespace netc
