// Machines as text that parse_machine reads.

#include "frontend/machine.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace netc {

namespace {

/// The shortest number that the reader turns into `value`, in a unit that it multiplies or divides
/// by; numbers of up to 15 digits in that unit come back as they were.
template <class Read> std::string shortest(double in_unit, const Read& reads_back) {
  for (int digits = 1; digits < 17; ++digits) {
    const double number = std::strtod(fmt::format("{:.{}g}", in_unit, digits).c_str(), nullptr);
    if (reads_back(number))
      return fmt::format("{}", number); // 1000, not 1e+03
  }
  return fmt::format("{}", in_unit);
}

std::string times(double value, double unit) {
  return shortest(value / unit, [&](double read) { return read * unit == value; });
}

std::string over(double value, double unit) {
  return shortest(value * unit, [&](double read) { return read / unit == value; });
}

/// A name between quotes, as names of processors may hold what means something in YAML.
std::string quoted(const std::string& name) {
  std::string text = "\"";
  for (char c : name) {
    if (c == '"' || c == '\\')
      text += '\\';
    text += c;
  }
  return text + "\"";
}

std::string device_text(const DeviceProfile& device, size_t count) {
  std::string text = fmt::format("  - name: {}\n", quoted(device.name));
  auto line = [&](const char* key, const std::string& value) {
    text += fmt::format("    {}: {}\n", key, value);
  };
  if (count > 1)
    line("count", std::to_string(count));
  line("gflops", times(device.flops_per_second, 1e9));
  line("compute_efficiency", times(device.compute_efficiency, 1));
  line("gb_per_second", times(device.bytes_per_second, 1e9));
  line("memory_efficiency", times(device.memory_efficiency, 1));
  line("launch_us", over(device.launch_seconds, 1e6));
  line("memory_gib",
       shortest(std::ldexp(static_cast<double>(device.memory_bytes), -30), [&](double read) {
         return static_cast<int64_t>(std::ldexp(read, 30)) == device.memory_bytes;
       }));
  if (device.operators.empty())
    return text;
  line("operators", "");
  text.erase(text.size() - 2, 1);
  for (const auto& [name, share] : device.operators)
    text += fmt::format("      {}: {}\n", name, times(share, 1));
  return text;
}

} // namespace

std::string print(const MachineProfile& machine) {
  std::string text = fmt::format("name: {}\ndevices:\n", machine.name);
  for (auto device = machine.devices.begin(); device != machine.devices.end();) {
    auto other = std::find_if(device, machine.devices.end(),
                              [&](const DeviceProfile& d) { return d != *device; });
    text += device_text(*device, static_cast<size_t>(other - device));
    device = other;
  }
  const LinkProfile& link = machine.link;
  return text + fmt::format("link: {{gb_per_second: {}, latency_us: {}, full_duplex: {}, "
                            "shared: {}, overlaps: {}}}\n",
                            times(link.bytes_per_second, 1e9), over(link.latency_seconds, 1e6),
                            link.full_duplex, link.shared, link.overlaps);
}

} // namespace netc
