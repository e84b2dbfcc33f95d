#include "runtime/device.h"

#include "ir/support/error.h"
#include "runtime/byte_text.h"

#include <utility>

namespace netc {

namespace {

constexpr const char* smaller = "a smaller batch (`--batch N`) needs less";

} // namespace

DeviceMemory::~DeviceMemory() {
  if (!data_)
    return;
  device_->give_back(data_, host_);
  if (!host_)
    device_->in_use_ -= size_;
}

void DeviceMemory::swap(DeviceMemory& other) {
  std::swap(device_, other.device_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(host_, other.host_);
}

void Device::check_room(int64_t bytes, const std::string& use) const {
  auto needs = [&](int64_t most) {
    return fmt::format("{} needs {} on `{}`", use, byte_text_beside(bytes, most), name());
  };
  if (int64_t limit = spec_.memory_limit; limit > 0 && in_use_ + bytes > limit) {
    std::string beside =
        in_use_ > 0 ? fmt::format(", {} of them in use already", byte_text(in_use_)) : "";
    throw RuntimeError(fmt::format("{}, which may use {} (`--memory-limit`){}", needs(limit),
                                   byte_text_beside(limit, bytes), beside),
                       fmt::format("{}, or raise `--memory-limit`", smaller));
  }
  if (int64_t free = free_bytes(); free >= 0 && bytes > free)
    throw RuntimeError(
        fmt::format("{}, which has {} free", needs(free), byte_text_beside(free, bytes)),
        fmt::format("{}; are other programs using the device?", smaller));
}

DeviceMemory Device::allocate(int64_t bytes, const std::string& use) {
  if (bytes == 0)
    return {};
  check_room(bytes, use);
  DeviceMemory memory(this, take(bytes, false), bytes, false);
  in_use_ += bytes;
  return memory;
}

DeviceMemory Device::allocate_host(int64_t bytes) {
  if (bytes == 0)
    return {};
  return {this, take(bytes, true), bytes, true};
}

} // namespace netc
