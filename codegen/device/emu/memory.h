#pragma once
// Checked pointers: Global and Shared stand for T* to global and to shared memory. Each access is
// checked for bounds, alignment, initialisation and races, and names its line when it fails.

#include "ir/emulator_abi.h"

namespace netc {
namespace emu {

/// An index and the place where it is used.
struct Index {
  long value;
  Place place;
  Index(long value, Place place = {}) : value(value), place(place) {}
};

/// The machine of the running thread, for what has no pointer at hand.
static thread_local Machine* running_machine = nullptr;

/// An array in a region. Its bounds stay what they are, however pointers to it move.
struct Array {
  Region* region = nullptr;
  long first = 0; ///< In bytes from the start of the region.
  long bytes = 0;
};

/// Notes that the running thread reads what the cell stands for.
inline void note_read(Region& region, Cell& cell, Place place) {
  const bool readable = cell.writer - region.readable_from < region.settled - region.readable_from;
  if (readable && cell.reader < region.settled) {
    cell.reader = region.machine->now;
    cell.reader_place = place.bits;
  } else if (!readable || cell.reader != region.machine->now) {
    region.machine->read(region, cell, place);
  }
}

/// The same for a write.
inline void note_write(Region& region, Cell& cell, Place place) {
  const Stamp now = region.machine->now;
  if ((cell.writer < region.settled || cell.writer == now) &&
      (cell.reader < region.settled || cell.reader == now)) {
    cell.writer = now;
    cell.writer_place = place.bits;
  } else {
    region.machine->write(region, cell, place);
  }
}

[[noreturn, gnu::cold, gnu::noinline]] inline void fail(Fault fault, const Array& array, long at,
                                                        int bytes, Place place) {
  running_machine->fail(fault, array.region, array.first + at, bytes, place);
}

/// Checks an access of `bytes` at byte `at` of the array but for its cells; returns its offset.
template <int bytes>
[[gnu::always_inline]] inline long check_place(const Array& array, long at, Place place) {
  if (at < 0 || at > array.bytes - bytes)
    fail(Fault::out_of_bounds, array, at, bytes, place);
  const long offset = array.first + at;
  if (reinterpret_cast<unsigned long>(array.region->data + offset) % bytes != 0)
    fail(Fault::misaligned, array, at, bytes, place);
  if constexpr (bytes < 4)
    if (array.region->shadow->shift > 0)
      running_machine->refine(*array.region);
  return offset;
}

/// Calls note(cell) for the cells of an access.
template <int bytes, class Note>
[[gnu::always_inline]] inline void for_cells(const Region& region, long offset, Note note) {
  const Shadow& shadow = *region.shadow;
  if (bytes >= 4 && shadow.shift == 2) [[likely]] {
    for (int i = 0; i < bytes / 4; ++i)
      note(shadow.cells[offset / 4 + i]);
  } else {
    for (int i = 0; i < bytes; ++i)
      note(shadow.cells[offset + i]);
  }
}

/// Checks and notes a read of `bytes` at byte `at` of the array; returns where they lie. Not
/// inlined, as little as a write's: kernels have hundreds of accesses, and compile faster and run
/// as fast so.
template <int bytes>
[[gnu::noinline]] inline const unsigned char* check_read(const Array& array, long at, Place place) {
  const long offset = check_place<bytes>(array, at, place);
  Region& region = *array.region;
  for_cells<bytes>(region, offset, [&](Cell& cell) { note_read(region, cell, place); });
  return region.data + offset;
}

/// The same for a write.
template <int bytes>
[[gnu::noinline]] inline unsigned char* check_write(const Array& array, long at, Place place) {
  const long offset = check_place<bytes>(array, at, place);
  Region& region = *array.region;
  for_cells<bytes>(region, offset, [&](Cell& cell) { note_write(region, cell, place); });
  return region.data + offset;
}

template <class T> T load(const Array& array, long at, Place place) {
  T value;
  __builtin_memcpy(&value, check_read<sizeof(T)>(array, at, place), sizeof(T));
  return value;
}
template <class T> void store(const Array& array, long at, const T& value, Place place) {
  __builtin_memcpy(check_write<sizeof(T)>(array, at, place), &value, sizeof(T));
}

/// What indexing a checked pointer gives: reads when it is converted, writes when it is assigned.
template <class T> class Reference {
public:
  Reference(const Array& array, long at, Place place) : array_(array), at_(at), place_(place) {}
  Reference(const Reference&) = default;

  operator T() const { return load<T>(array_, at_, place_); }
  T operator=(T value) const {
    store<T>(array_, at_, value, place_);
    return value;
  }
  T operator=(const Reference& other) const { return *this = static_cast<T>(other); }
  template <class U> T operator=(const Reference<U>& other) const { // as elements are converted
    return *this = static_cast<T>(static_cast<U>(other));
  }
  T operator+=(T value) const { return *this = static_cast<T>(*this) + value; }
  T operator-=(T value) const { return *this = static_cast<T>(*this) - value; }
  T operator*=(T value) const { return *this = static_cast<T>(*this) * value; }
  T operator/=(T value) const { return *this = static_cast<T>(*this) / value; }

private:
  Array array_;
  long at_; ///< In bytes.
  Place place_;
};

template <class T> struct Element {
  using Result = Reference<T>;
  using Plain = T;
  static Result at(const Array& array, long at, Place place) { return {array, at, place}; }
};
template <class T> struct Element<const T> {
  using Result = T;
  using Plain = T;
  static Result at(const Array& array, long at, Place place) { return load<T>(array, at, place); }
};

/// What Global and Shared have in common. Kind is Global or Shared itself.
template <class T, template <class> class Kind> class Pointer {
public:
  Pointer() = default;
  Pointer(decltype(nullptr)) {}
  Pointer(const Array& array, long at) : array_(array), at_(at) {}

  /// The element, of which only a Reference may be assigned to.
  typename Element<T>::Result operator[](Index index) const {
    return Element<T>::at(array_, byte(index.value), index.place);
  }
  Kind<T> operator+(long elements) const { return Kind<T>(array_, byte(elements)); }
  Kind<T> operator-(long elements) const { return Kind<T>(array_, byte(-elements)); }
  operator Kind<const T>() const { return Kind<const T>(array_, at_); }

  const Array& array() const { return array_; }
  /// Byte of the array at which element `index` begins.
  long byte(long index) const { return at_ + index * static_cast<long>(sizeof(T)); }

private:
  Array array_;
  long at_ = 0;
};

} // namespace emu

/// A pointer to a buffer of the launch.
template <class T> class Global : public emu::Pointer<T, Global> {
public:
  using emu::Pointer<T, netc::Global>::Pointer;
};

/// A pointer to an array in the block's shared memory.
template <class T> class Shared : public emu::Pointer<T, Shared> {
public:
  using emu::Pointer<T, netc::Shared>::Pointer;
};

} // namespace netc
