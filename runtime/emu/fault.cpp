// From the numbers of a fault to its message.

#include "runtime/emu/block.h"
#include "runtime/emu/stamp.h"

#include <algorithm>

namespace netc {

namespace {

/// Templates by their names in the tree, wherever the compiler found them.
EmulatorPlace readable(emu::Place place) {
  if (place.bits == 0)
    return {};
  std::string file = place.file();
  if (const size_t root = file.rfind("codegen/device/"); root != std::string::npos)
    file.erase(0, root);
  return {std::move(file), place.line()};
}

std::string at(const EmulatorPlace& place) {
  return place.line > 0 ? fmt::format(" at {}:{}", place.file, place.line) : std::string();
}

std::string memory(const EmulatorFault::Details& d) {
  return d.buffer.empty() ? std::string("shared memory") : fmt::format("`{}`", d.buffer);
}

std::string party(const EmulatorFault::Details& d) {
  const EmulatorFault::Party& other = *d.other;
  if (other.thread < 0)
    return "another thread";
  if (other.block != d.block)
    return fmt::format("thread {} of block {}", other.thread, other.block);
  return fmt::format("thread {}", other.thread);
}

std::string divergence(const EmulatorFault::Details& d) {
  if (!d.other)
    return "an operation of 32 lanes in a warp that has fewer";
  if (d.other->ended)
    return fmt::format("waits for {}, which has ended", party(d));
  return fmt::format("waits for {}, which waits{}", party(d), at(d.other->place));
}

/// How large the memory is that an access missed. Shared memory holds several arrays, of which a
/// kernel may leave one and still be in another.
std::string bounds(const EmulatorFault::Details& d) {
  if (d.offset >= 0 && d.offset + d.bytes <= d.size)
    return fmt::format(", which has {} bytes, but outside of the array that is meant", d.size);
  return d.size > 0 ? fmt::format(", which has {} bytes", d.size) : "";
}

std::string what_happened(const EmulatorFault::Details& d) {
  const char* access = d.writes ? "writes" : "reads";
  const std::string where = fmt::format("{} bytes at byte {} of {}", d.bytes, d.offset, memory(d));
  switch (d.kind) {
  case emu::Fault::out_of_bounds:
    return fmt::format("out of bounds: accesses {}{}", where, bounds(d));
  case emu::Fault::misaligned:
    return fmt::format("misaligned: accesses {}", where);
  case emu::Fault::uninitialised:
    return fmt::format("uninitialised: reads {}, which nobody has written", where);
  case emu::Fault::pending_copy:
    return fmt::format("copy under way: {} {}, to which {} copies{} without having waited", access,
                       where, party(d), at(d.other->place));
  case emu::Fault::unawaited:
    return "unawaited: a matrix product of a warpgroup is in no group, or nobody waits for those "
           "before";
  case emu::Fault::race:
    return fmt::format("race: {} {}, which {} accesses{}, with nothing to order the two", access,
                       where, party(d), at(d.other->place));
  case emu::Fault::divergence:
    return fmt::format("divergence: {}", divergence(d));
  }
  return {};
}

std::string message(const EmulatorFault::Details& d) {
  const std::string step = d.step.empty() ? "" : fmt::format(" of {}", d.step);
  return fmt::format("kernel `{}` (kernel_{}){}, block {}, thread {}{}: {}", d.kernel, d.entry,
                     step, d.block, d.thread, at(d.place), what_happened(d));
}

} // namespace

EmulatorFault::EmulatorFault(Details details)
    : InternalError(message(details)), details_(std::move(details)) {}

EmulatorFault EmulatedBlock::describe(const EmulatorLaunch& launch) const {
  const Report& report = *report_;
  EmulatorFault::Details details{.kind = report.fault,
                                 .kernel = launch.kernel,
                                 .entry = launch.entry,
                                 .block = block,
                                 .thread = lane,
                                 .place = readable(report.place),
                                 .offset = report.offset,
                                 .size = report.region ? report.region->bytes : 0,
                                 .bytes = report.bytes,
                                 .writes = report.writes};
  if (report.region == nullptr && report.bytes > 0)
    details.buffer = "nullptr";
  for (size_t i = 0; i < regions_.size(); ++i)
    if (report.region == &regions_[i])
      details.buffer = launch.buffers[i].name;
  if (report.other) {
    const Other& other = *report.other;
    EmulatorFault::Party party{.block = block,
                               .thread = other.thread,
                               .place = readable(other.place),
                               .ended = other.ended};
    if (other.stamp != 0) {
      auto next = std::upper_bound(block_starts_.begin(), block_starts_.end(), other.stamp);
      party.block = next - block_starts_.begin() - 1;
      party.thread = emu::thread(other.stamp);
      // The last of several readers is remembered, and may be the writer itself.
      if (party.block == block && party.thread == lane)
        party.thread = -1;
    }
    details.other = std::move(party);
  }
  return EmulatorFault(std::move(details));
}

} // namespace netc
