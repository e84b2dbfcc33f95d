#pragma once
// The names through which CUDA text touches the machine, for a host: the same text, checked. See
// runtime/emu for who runs it.

#include "codegen/device/emu/math.h"
#include "codegen/device/emu/memory.h"

namespace netc {

/// This block of the grid, and their number.
inline long block() {
  return emu::running_machine->block;
}
inline long blocks() {
  return emu::running_machine->blocks;
}
/// This thread of the block, and their number.
inline int lane() {
  return emu::running_machine->lane;
}
inline int lanes() {
  return emu::running_machine->lanes;
}
/// This warp of the block, their number, and this thread of the warp.
inline int warp() {
  return lane() / 32;
}
inline int warps() {
  return (lanes() + 31) / 32;
}
inline int warp_lane() {
  return lane() % 32;
}

/// All threads of the block, or of the warp, arrive before any goes on.
inline void barrier(emu::Place place = {}) {
  emu::running_machine->barrier(place);
}
inline void warp_barrier(emu::Place place = {}) {
  emu::running_machine->warp_operation(emu::WarpOperation::barrier, nullptr, place);
}

/// The `count` elements at `offset_bytes`, a multiple of 16, of the block's dynamic shared memory.
template <class T> Shared<T> shared_array(int offset_bytes, long count, emu::Place place = {}) {
  emu::Machine& machine = *emu::running_machine;
  const long bytes = count * static_cast<long>(sizeof(T));
  if (offset_bytes < 0 || count < 0 || offset_bytes + bytes > machine.shared.bytes)
    machine.fail(emu::Fault::out_of_bounds, &machine.shared, offset_bytes, bytes, place);
  if (offset_bytes % 16 != 0)
    machine.fail(emu::Fault::misaligned, &machine.shared, offset_bytes, 16, place);
  return Shared<T>(emu::Array{&machine.shared, offset_bytes, bytes}, 0);
}

struct Float2 {
  float x, y;
};
struct Float4 {
  float x, y, z, w;
};
struct Bytes4 {
  unsigned char x, y, z, w;
};

/// A float and its bits.
inline float as_float(unsigned bits) {
  return emu::float_of(bits);
}
inline unsigned as_bits(float value) {
  return emu::bits_of(value);
}

/// The same memory seen as elements of another type.
template <class T, class U> Global<T> as_elements(Global<U> from) {
  return Global<T>(from.array(), from.byte(0));
}

template <class T> T load_once(Global<const T> from, emu::Index i) {
  return from[i];
}

/// Vector accesses at elements, aligned to the size of the vector.
inline Float2 load2(Global<const float> from, emu::Index i) {
  return emu::load<Float2>(from.array(), from.byte(i.value), i.place);
}
inline Float4 load4(Global<const float> from, emu::Index i) {
  return emu::load<Float4>(from.array(), from.byte(i.value), i.place);
}
inline Bytes4 load4(Global<const unsigned char> from, emu::Index i) {
  return emu::load<Bytes4>(from.array(), from.byte(i.value), i.place);
}
inline Float2 load2(Shared<const float> from, emu::Index i) {
  return emu::load<Float2>(from.array(), from.byte(i.value), i.place);
}
inline Float4 load4(Shared<const float> from, emu::Index i) {
  return emu::load<Float4>(from.array(), from.byte(i.value), i.place);
}
inline void store2(Global<float> to, emu::Index i, Float2 value) {
  emu::store(to.array(), to.byte(i.value), value, i.place);
}
inline void store4(Global<float> to, emu::Index i, Float4 value) {
  emu::store(to.array(), to.byte(i.value), value, i.place);
}
inline void store4(Global<unsigned char> to, emu::Index i, Bytes4 value) {
  emu::store(to.array(), to.byte(i.value), value, i.place);
}
inline void store2(Shared<float> to, emu::Index i, Float2 value) {
  emu::store(to.array(), to.byte(i.value), value, i.place);
}
inline void store4(Shared<float> to, emu::Index i, Float4 value) {
  emu::store(to.array(), to.byte(i.value), value, i.place);
}

/// ldmatrix of 16 rows of two pieces. A lane reads here what it gets, not what its address says.
template <class At>
void load_matrices(Shared<const float> from, float (&to)[4], At at, emu::Place place = {}) {
  warp_barrier(place); // the warp's lanes come together
  for (int i = 0; i < 4; ++i) {
    const long piece = at(i % 2 * 8 + warp_lane() / 4, i / 2);
    if (from.byte(piece) % 16 != 0)
      emu::fail(emu::Fault::misaligned, from.array(), from.byte(piece), 16, place);
    to[i] = from[emu::Index(piece + warp_lane() % 4, place)];
  }
}

/// The same value, which is computed once.
template <class T> T held(T value) {
  return value;
}

/// cp.async of `count` elements, aligned to their size, read or not. Where the source does not
/// exist, zeros are written and nothing is read. The destination may be touched after copy_wait by
/// this thread, after a further barrier by others. Nothing happens unless `wanted`.
template <int count, int at = 0, int behind = 0, bool kept = false, class T>
void copy_async(Shared<float> to, Global<const T> from, long index, bool exists, bool wanted = true,
                emu::Place place = {}) {
  if (!wanted)
    return;
  constexpr int bytes = count * static_cast<int>(sizeof(T));
  static_assert(bytes == 4 || bytes == 8 || bytes == 16, "cp.async copies 4, 8 or 16 bytes");
  const long offset = emu::check_place<bytes>(to.array(), to.byte(at), place);
  const unsigned char* source = nullptr;
  if (exists)
    source = emu::check_read<bytes>(from.array(), from.byte(index + behind), place);
  else if ((from.array().first + from.byte(index + behind)) % bytes != 0)
    emu::fail(emu::Fault::misaligned, from.array(), from.byte(index + behind), bytes, place);
  emu::running_machine->copy_async(offset, source, bytes, place);
}
/// The copies since the last commit become a group.
inline void copy_commit() {
  emu::running_machine->copy_commit();
}
/// Waits for all groups of this thread but the `pending` newest.
template <int pending> void copy_wait(emu::Place place = {}) {
  emu::running_machine->copy_wait(pending, place);
}

/// Values of other lanes of a full warp: of lane (own ^ mask), of lane `source`.
inline int shuffle_xor(int value, int mask, emu::Place place = {}) {
  emu::Shuffle operands{static_cast<unsigned>(value), mask};
  emu::running_machine->warp_operation(emu::WarpOperation::shuffle_xor, &operands, place);
  return static_cast<int>(operands.value);
}
inline float shuffle_xor(float value, int mask, emu::Place place = {}) {
  emu::Shuffle operands{emu::bits_of(value), mask};
  emu::running_machine->warp_operation(emu::WarpOperation::shuffle_xor, &operands, place);
  return emu::float_of(operands.value);
}
inline float shuffle(float value, int source_lane, emu::Place place = {}) {
  emu::Shuffle operands{emu::bits_of(value), source_lane};
  emu::running_machine->warp_operation(emu::WarpOperation::shuffle, &operands, place);
  return emu::float_of(operands.value);
}

/// mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 and m16n8k16 of bf16: d += a b.
inline void mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                     emu::Place place = {}) {
  emu::MatrixProduct operands{d, a, b};
  emu::running_machine->warp_operation(emu::WarpOperation::mma_tf32, &operands, place);
}
inline void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                     emu::Place place = {}) {
  emu::MatrixProduct operands{d, a, b};
  emu::running_machine->warp_operation(emu::WarpOperation::mma_bf16, &operands, place);
}

} // namespace netc
