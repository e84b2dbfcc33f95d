#include "runtime/devices.h"

#include "ir/support/diagnostics.h"
#include "runtime/cpu_device.h"

namespace netc {

std::vector<DeviceInfo> list_devices() {
  return {{"cpu:0", processor_description()}};
}

std::string default_device() {
  return "cpu:0";
}

std::unique_ptr<Device> open_device(const DeviceSpec& spec) {
  if (spec.name == "cpu:0")
    return open_cpu_device(spec);
  user_error(fmt::format("there is no device `{}`", spec.name), "`netc devices` lists them");
}

} // namespace netc
