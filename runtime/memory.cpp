#include "runtime/memory.h"

#include "ir/support/error.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>

namespace netc {

namespace {

constexpr int64_t huge_page = 2 << 20;

} // namespace

Memory::Memory(int64_t bytes) : size_(bytes) {
  if (bytes == 0)
    return;
  void* mapped = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED)
    throw RuntimeError(fmt::format("{:.1f} MB of memory cannot be had: {}",
                                   static_cast<double>(bytes) / 1e6, std::strerror(errno)),
                       "a smaller batch (`--batch N`) needs less");
  data_ = static_cast<std::byte*>(mapped);
  if (bytes >= huge_page) // a wish; without it the memory is only slower
    madvise(mapped, static_cast<size_t>(bytes), MADV_HUGEPAGE);
}

Memory::~Memory() {
  if (data_)
    munmap(data_, static_cast<size_t>(size_));
}

int64_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

} // namespace netc
