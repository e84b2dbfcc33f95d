#pragma once
// Feeds and outputs of a program that runs on several devices: whole for the host, in parts where
// the devices have them.

#include "runtime/multi_device/box_loop.h"
#include "runtime/slot.h"

namespace netc {

class HostSide {
public:
  /// `devices` and `programs` by logical device; both outlive this.
  HostSide(std::vector<LoadedDevice>& devices, const std::vector<const Program*>& programs);

  std::map<std::string, std::span<std::byte>> feeds, outputs; ///< As Slot says.

  /// Where a feed or output lies on its device.
  std::byte* address(size_t device, size_t buffer) const { return addresses_[device][buffer]; }
  /// Bytes of the device's feeds that lie in host memory, where the device reads them.
  int64_t lent_bytes(size_t device) const { return parts_[device].lent; }

  /// Gives a device its parts of the feeds: the share of a thread of its team, all of which call
  /// it; then one calls upload().
  void gather(size_t device, const Thread& thread) const;
  void upload(size_t device) const;
  /// One thread of the device's team calls it after the device's last step; the host calls
  /// assemble() once all have.
  void download(size_t device) const;
  void assemble() const;
  void poison(std::byte value) const;

private:
  /// What one device has.
  struct Parts {
    DeviceMemory feeds, outputs;       ///< On the device.
    std::vector<DeviceMemory> staging; ///< Host memory where the host does not see the device.
    std::vector<BoxCopy> copies;       ///< From whole feeds.
    std::vector<Transfer> uploads, downloads;
    int64_t lent = 0;
  };
  void place_feeds(size_t device, const Program& program);
  void place_outputs(size_t device, const Program& program);
  /// Memory in which the host sees `bytes` of the device.
  std::byte* seen(size_t device, std::byte* on_device, int64_t bytes);
  std::byte* lend(const BoxView& whole, const Buffer& buffer, size_t device) const;

  std::vector<LoadedDevice>& devices_;
  std::vector<DeviceMemory> whole_; ///< Feeds, and outputs of which no device has all.
  std::map<std::string, BoxView> whole_feeds_;
  std::map<std::string, size_t> givers_; ///< The first device that has all of an output.
  std::vector<BoxCopy> assembling_;      ///< Into whole outputs.
  std::vector<Parts> parts_;             ///< By device.
  std::vector<std::vector<std::byte*>> addresses_;
};

} // namespace netc
