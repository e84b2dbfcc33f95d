#include "ir/support/error.h"
#include "runtime/emu/fibre.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

namespace netc {

namespace {
constexpr size_t guard_bytes = 1 << 14; // a multiple of any page size in use
constexpr size_t stack_bytes = 1 << 18; // with the guard; taken from the system as it is touched
constexpr size_t colours = 1 << 16;
} // namespace

FibreStacks::~FibreStacks() {
  release();
}

void FibreStacks::release() {
  if (data_ != nullptr)
    munmap(data_, stack_bytes * count_);
  data_ = nullptr;
  count_ = 0;
}

void FibreStacks::reserve(int count) {
  if (count <= count_)
    return;
  release();
  void* data = mmap(nullptr, stack_bytes * count, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (data == MAP_FAILED)
    throw RuntimeError(fmt::format("no room for the stacks of {} emulated threads: {}", count,
                                   std::strerror(errno)));
  data_ = static_cast<std::byte*>(data);
  count_ = count;
  for (int i = 0; i < count; ++i)
    if (mprotect(data_ + i * stack_bytes, guard_bytes, PROT_NONE) != 0)
      throw RuntimeError(fmt::format("guarding the stacks of {} emulated threads failed: {}", count,
                                     std::strerror(errno)));
}

std::span<std::byte> FibreStacks::operator[](int index) const {
  // Tops at the same place of a power of two would share a few lines of each cache.
  const size_t colour = index * size_t{448} % colours;
  return {data_ + index * stack_bytes + guard_bytes, stack_bytes - guard_bytes - colour};
}

} // namespace netc
