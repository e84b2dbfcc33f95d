#pragma once
// Large zeroed memory on huge pages.

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>

namespace netc {

/// Memory of a fixed size, zero at first, aligned to 64 bytes at least; asks the system for huge
/// pages where that pays. Moves, does not copy; freed with the object.
class Memory {
public:
  Memory() = default;
  /// Throws RuntimeError when the system has no room.
  explicit Memory(int64_t bytes);
  ~Memory();
  Memory(Memory&& other) noexcept { swap(other); }
  Memory& operator=(Memory&& other) noexcept {
    swap(other);
    return *this;
  }

  std::byte* data() const { return data_; }
  int64_t size() const { return size_; }

private:
  void swap(Memory& other) {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  std::byte* data_ = nullptr;
  int64_t size_ = 0;
};

/// Memories by their addresses, for who lends them out.
class MemoryPool {
public:
  /// Throws as Memory does; `bytes` > 0.
  std::byte* take(int64_t bytes) {
    Memory memory(bytes);
    std::byte* data = memory.data();
    memories_.emplace(data, std::move(memory));
    return data;
  }
  void give_back(std::byte* data) noexcept { memories_.erase(data); }

private:
  std::map<std::byte*, Memory> memories_;
};

/// Largest resident size of this process so far, in bytes.
int64_t peak_resident_bytes();

} // namespace netc
