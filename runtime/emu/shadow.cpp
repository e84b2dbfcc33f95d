#include "runtime/emu/shadow.h"

#include "ir/support/error.h"

#include <algorithm>

namespace netc {

namespace {
// Earlier than any launch.
constexpr emu::Cell written_by_host{.writer = 1};
} // namespace

EmulatorShadow::EmulatorShadow(int64_t bytes) : bytes_(bytes) {
  memory_ = Memory(std::max<int64_t>(count(), 1) * static_cast<int64_t>(sizeof(emu::Cell)));
  shadow_.cells = reinterpret_cast<emu::Cell*>(memory_.data());
}

int64_t EmulatorShadow::count() const {
  const int64_t words = (bytes_ + 3) / 4;
  return shadow_.shift == 0 ? words * 4 : words;
}

void EmulatorShadow::set_initialised() {
  set_initialised(0, bytes_);
}

void EmulatorShadow::set_initialised(int64_t offset, int64_t bytes) {
  NETC_CHECK(offset >= 0 && bytes >= 0 && offset + bytes <= bytes_,
             "bytes {} to {} of a shadow of {}", offset, offset + bytes, bytes_);
  const int64_t last = (offset + bytes + 3) / 4 * 4;
  std::fill(shadow_.cells + (offset / 4 * 4 >> shadow_.shift),
            shadow_.cells + (last >> shadow_.shift), written_by_host);
}

void EmulatorShadow::set_uninitialised() {
  std::fill_n(shadow_.cells, count(), emu::Cell{});
}

int64_t EmulatorShadow::first_uninitialised(int64_t bytes) const {
  for (int64_t at = 0; at < bytes; at += int64_t{1} << shadow_.shift)
    if (shadow_.cells[at >> shadow_.shift].writer == 0)
      return at;
  return -1;
}

void EmulatorShadow::refine() {
  if (shadow_.shift == 0)
    return;
  const int64_t words = count();
  Memory fine(std::max<int64_t>(words, 1) * 4 * static_cast<int64_t>(sizeof(emu::Cell)));
  auto* cells = reinterpret_cast<emu::Cell*>(fine.data());
  for (int64_t i = 0; i < words; ++i)
    std::fill_n(cells + i * 4, 4, shadow_.cells[i]);
  memory_ = std::move(fine);
  shadow_ = {.cells = cells, .shift = 0};
}

} // namespace netc
