#include "runtime/state.h"

#include "ir/support/error.h"
#include "runtime/multi_device/box_loop.h"

#include <cstring>

namespace netc {

namespace {

constexpr Thread alone{0, 1, nullptr, nullptr};

/// A device that has something of a tensor.
struct Holder {
  Device* device;
  const DeviceState* state;

  bool is_seen_whole() const { return device->host_visible() && state->is_whole(); }
  std::span<float> values() const {
    return {reinterpret_cast<float*>(state->memory.data()),
            static_cast<size_t>(state->memory.size()) / sizeof(float)};
  }
  /// The device's part within the whole tensor at `values`, copied to or from `part`.
  void move(float* values, float* part, bool to_part) const {
    if (state->is_whole()) { // also numbers, which have no ranges
      const size_t bytes = static_cast<size_t>(state->memory.size());
      to_part ? std::memcpy(part, values, bytes) : std::memcpy(values, part, bytes);
      return;
    }
    const BoxView whole{reinterpret_cast<std::byte*>(values), whole_box(state->whole)},
        own{reinterpret_cast<std::byte*>(part), state->box};
    const int64_t bytes = sizeof(float);
    (to_part ? BoxCopy(state->box, own, whole, bytes) : BoxCopy(state->box, whole, own, bytes))
        .run(alone);
  }
};

std::vector<Holder> holders_of(const std::vector<LoadedDevice>& devices, const std::string& name) {
  std::vector<Holder> holders;
  for (const LoadedDevice& loaded : devices)
    if (auto it = loaded.state.find(name); it != loaded.state.end())
      holders.push_back({loaded.device.get(), &it->second});
  NETC_CHECK(!holders.empty(), "no state `{}`", name);
  return holders;
}

size_t whole_count(const Holder& holder) {
  return static_cast<size_t>(element_count(holder.state->whole));
}

} // namespace

StateValues read_state(const std::vector<LoadedDevice>& devices, const std::string& name) {
  const std::vector<Holder> holders = holders_of(devices, name);
  for (const Holder& holder : holders)
    if (holder.is_seen_whole())
      return {holder.values(), {}};
  std::vector<float> values(whole_count(holders.front())), part;
  for (const Holder& holder : holders) {
    part.resize(holder.values().size());
    holder.device->read(part.data(), holder.state->memory.data(), holder.state->memory.size());
    holder.move(values.data(), part.data(), false);
    if (holder.state->is_whole())
      break; // the others have nothing more
  }
  return {{}, std::move(values)};
}

void write_state(const std::vector<LoadedDevice>& devices, const std::string& name,
                 const std::function<void(std::span<float>)>& fill) {
  const std::vector<Holder> holders = holders_of(devices, name);
  if (holders.size() == 1 && holders.front().is_seen_whole())
    return fill(holders.front().values());
  std::vector<float> values(whole_count(holders.front())), part;
  fill(values);
  for (const Holder& holder : holders) {
    part.resize(holder.values().size());
    holder.move(values.data(), part.data(), true);
    holder.device->write(holder.state->memory.data(), part.data(), holder.state->memory.size());
  }
}

} // namespace netc
