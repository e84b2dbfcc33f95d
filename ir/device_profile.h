#pragma once
// What a prediction of times needs to know of a machine.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace netc {

/// A device. Efficiencies are the shares of its peaks that kernels reach, above 0, at most 1.
struct DeviceProfile {
  std::string name;
  double flops_per_second = 0; ///< Peak in f32; a multiply-add counts as two.
  double compute_efficiency = 1;
  double bytes_per_second = 0; ///< Peak of its memory.
  double memory_efficiency = 1;
  double launch_seconds = 0; ///< What starting a kernel adds.
  int64_t memory_bytes = 0;  ///< 0: not known.
  /// By operator, in place of both efficiencies.
  std::map<std::string, double> operators{};
  bool operator==(const DeviceProfile&) const = default;
};

/// How devices reach each other's memory.
struct LinkProfile {
  double latency_seconds = 0;  ///< Of a message.
  double bytes_per_second = 0; ///< Reached, not peak; of each device and direction.
  bool full_duplex = true;     ///< Both directions at once; else they share the bandwidth.
  bool shared = false;         ///< All transfers of all devices share the bandwidth, as on one bus.
  /// Devices compute while they take part in an exchange, as GPUs do; else they copy themselves.
  bool overlaps = false;
  bool operator==(const LinkProfile&) const = default;
};

struct MachineProfile {
  std::string name;
  std::vector<DeviceProfile> devices;
  LinkProfile link;
  bool operator==(const MachineProfile&) const = default;
};

} // namespace netc
