#pragma once
// A logical device: its memory, copies to and from it, the kernels of a plan and the programs that
// run on it.

#include "ir/plan.h"
#include "ir/target.h"
#include "runtime/device_program.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace netc {

class Device;

/// A logical device as the command line names it, and what it may use.
struct DeviceSpec {
  std::string name = "cpu:0";
  int threads = 0;          ///< Of `cpu` at most the plan's; 0: all of them.
  int64_t memory_limit = 0; ///< Bytes; 0: as much as the device has.
  /// Of `cpu`: where its threads run, one on each; empty: on the first cores of the process, or
  /// anywhere if those are too few.
  std::vector<int> cores{};
  /// Of `cpu`: how many devices run on the same cores, wherever the system likes.
  int sharing = 1;
};

/// Memory that a device has lent, zero at first; given back with the object, before the device
/// goes. Moves, does not copy.
class DeviceMemory {
public:
  DeviceMemory() = default;
  ~DeviceMemory();
  DeviceMemory(DeviceMemory&& other) noexcept { swap(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept {
    swap(other);
    return *this;
  }

  /// The address on the device; the host follows it only where Device::host_visible().
  std::byte* data() const { return data_; }
  int64_t size() const { return size_; }

private:
  friend class Device;
  DeviceMemory(Device* device, std::byte* data, int64_t size, bool host)
      : device_(device), data_(data), size_(size), host_(host) {}
  void swap(DeviceMemory& other);
  Device* device_ = nullptr;
  std::byte* data_ = nullptr;
  int64_t size_ = 0;
  bool host_ = false; ///< Memory of the host, for copies.
};

/// A logical device. Each has kernels, streams and memory accounts of its own, even where several
/// share one processor. For one thread at a time.
class Device {
public:
  virtual ~Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  /// As the user named it: `cuda:0`.
  const std::string& name() const { return spec_.name; }
  /// What it is, for people: `NVIDIA H200, sm_90`.
  virtual std::string description() const = 0;
  /// What kernels for it are best compiled for.
  virtual Target target() const = 0;
  /// Whether kernels compiled for `target` run on it.
  virtual bool runs(const Target& target) const = 0;
  /// Whether its memory is the host's: nothing needs to be copied.
  virtual bool host_visible() const = 0;
  /// How many sets of feeds and outputs a program gets: with several, the host fills one while the
  /// device works on another.
  virtual int slots() const { return 1; }
  /// Remarks worth showing once, such as why something is slower than it might be.
  virtual std::vector<std::string> notes() const { return {}; }

  /// Lends memory. Throws RuntimeError naming need and limit when there is not enough; `use` says
  /// what for.
  DeviceMemory allocate(int64_t bytes, const std::string& use);
  /// Lends memory of the host from which copies are fast. Does not count as the device's.
  DeviceMemory allocate_host(int64_t bytes);
  int64_t memory_in_use() const { return in_use_; }
  /// Throws RuntimeError unless so much can be allocated, as far as one can tell beforehand.
  void check_room(int64_t bytes, const std::string& use) const;

  // Copies come after everything started before and are done when the call returns.
  virtual void write(std::byte* to, const void* from, int64_t bytes) = 0;
  virtual void read(void* to, const std::byte* from, int64_t bytes) = 0;

  /// Loads the kernels of a plan, once, the target of which runs() here. Throws RuntimeError when a
  /// binary is missing or was made for another machine.
  virtual void load(const Plan& plan, const std::filesystem::path& folder) = 0;
  /// Binds a program of the loaded plan to memory.
  virtual std::unique_ptr<DeviceProgram> bind(Binding binding) = 0;
  /// Calls work(thread) on all threads that run a step of this device together, the caller one of
  /// them, and returns when all are done. `work` must not throw.
  virtual void together(const std::function<void(const Thread&)>& work) {
    work(Thread{0, 1, nullptr, [](const Thread&) {}});
  }
  /// Returns when everything started is done.
  virtual void synchronize() = 0;

protected:
  explicit Device(DeviceSpec spec) : spec_(std::move(spec)) {}
  const DeviceSpec& spec() const { return spec_; }
  /// Zeroed memory of the device, or (`host`) of the host; `bytes` > 0.
  virtual std::byte* take(int64_t bytes, bool host) = 0;
  virtual void give_back(std::byte* data, bool host) noexcept = 0;
  /// Bytes nobody uses, -1 when that is not known.
  virtual int64_t free_bytes() const { return -1; }

private:
  friend class DeviceMemory;
  DeviceSpec spec_;
  int64_t in_use_ = 0;
};

} // namespace netc
