#include "runtime/loaded_device.h"

#include "ir/support/error.h"

#include <algorithm>

namespace netc {

namespace {

int64_t bytes_of(const Box& box) {
  return element_count(shape_of(box)) * static_cast<int64_t>(sizeof(float));
}

} // namespace

std::byte* LoadedDevice::address(const Buffer& buffer) const {
  if (buffer.place == Place::arena)
    return arena.data() + buffer.offset;
  if (buffer.place != Place::state)
    return nullptr;
  auto it = state.find(buffer.name);
  NETC_CHECK(it != state.end(), "`{}` has no state `{}`", device->name(), buffer.name);
  return it->second.memory.data();
}

DeviceNeeds::DeviceNeeds(const Plan& plan, int device) {
  for (const Program& program : plan.programs)
    if (program.device == device)
      programs.push_back(&program);
  for (const Program* program : programs) {
    arena_bytes = std::max(arena_bytes, program->arena_bytes);
    for (const Buffer& buffer : program->buffers) {
      if (buffer.place != Place::state || buffer.alias >= 0)
        continue;
      auto [at, fresh] = state.try_emplace(buffer.name, State{buffer.whole_shape(), buffer.box()});
      if (!fresh && (at->second.box != buffer.box() || at->second.whole != buffer.whole_shape()))
        throw RuntimeError(
            fmt::format("the programs of device {} disagree about `{}`: `{}` has {} of it, others "
                        "{}",
                        device, buffer.name, program->name, to_text(buffer.box()),
                        to_text(at->second.box)),
            "compile the network again");
    }
  }
  if (device > 0)
    return;
  // What no program reads is kept on the first device, for checkpoints.
  for (const StateInit& s : plan.state) {
    const bool held =
        std::any_of(plan.programs.begin(), plan.programs.end(), [&](const Program& program) {
          int index = program.find(s.name);
          return index >= 0 && program.buffers[static_cast<size_t>(index)].place == Place::state;
        });
    if (!held)
      state[s.name] = {s.type.shape, whole_box(s.type.shape)};
  }
}

int64_t DeviceNeeds::bytes() const {
  int64_t sum = arena_bytes;
  for (const auto& [name, s] : state)
    sum += bytes_of(s.box);
  return sum;
}

void allocate(LoadedDevice& loaded, const DeviceNeeds& needs) {
  loaded.arena = loaded.device->allocate(needs.arena_bytes, "the arena");
  for (const auto& [name, s] : needs.state)
    loaded.state[name] = {loaded.device->allocate(bytes_of(s.box), fmt::format("`{}`", name)),
                          s.whole, s.box};
}

} // namespace netc
