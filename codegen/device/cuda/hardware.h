#pragma once
// The primitives on a GPU. Compiled by NVRTC with -default-device; includes nothing of the toolkit.

namespace netc {

/// This block of the grid, and their number.
inline long block() {
  return blockIdx.x;
}
inline long blocks() {
  return gridDim.x;
}
/// This thread of the block, and their number, a multiple of 32.
inline int lane() {
  return static_cast<int>(threadIdx.x);
}
inline int lanes() {
  return static_cast<int>(blockDim.x);
}
/// The 32 threads that run together: which of them this is, of how many; this thread in it.
inline int warp() {
  return lane() / 32;
}
inline int warps() {
  return lanes() / 32;
}
inline int warp_lane() {
  return lane() % 32;
}
/// All threads of the block, or of the warp, have arrived; what each wrote is visible to all.
inline void barrier() {
  __syncthreads();
}
inline void warp_barrier() {
  __syncwarp();
}

/// An array in global memory, and one in the block's shared memory.
template <class T> using Global = T*;
template <class T> using Shared = T*;

/// The `count` elements at `offset` bytes of the block's dynamic shared memory; the offset is a
/// multiple of 16. (What swizzles repeats after 1024 bytes of the address.)
template <class T> Shared<T> shared_array(int offset, long /*count*/) {
  extern __shared__ __align__(1024) unsigned char shared_bytes[];
  return reinterpret_cast<T*>(shared_bytes + offset);
}

/// The same memory seen as elements of another type.
template <class T, class U> T* as_elements(U* from) {
  return reinterpret_cast<T*>(from);
}

/// An element that nobody writes before it is read here, whatever else is written: the load need
/// not wait for stores.
template <class T> T load_once(const T* from, long i) {
  return __ldg(from + i);
}

/// Two and four floats, and four bytes, that are moved at once; their address is a multiple of
/// their size.
struct __align__(8) Float2 {
  float x, y;
};
struct __align__(16) Float4 {
  float x, y, z, w;
};
struct __align__(4) Bytes4 {
  unsigned char x, y, z, w;
};
inline Float2 load2(const float* from, long i) {
  return *reinterpret_cast<const Float2*>(from + i);
}
inline Float4 load4(const float* from, long i) {
  return *reinterpret_cast<const Float4*>(from + i);
}
inline Bytes4 load4(const unsigned char* from, long i) {
  return *reinterpret_cast<const Bytes4*>(from + i);
}
inline void store2(float* to, long i, Float2 value) {
  *reinterpret_cast<Float2*>(to + i) = value;
}
inline void store4(float* to, long i, Float4 value) {
  *reinterpret_cast<Float4*>(to + i) = value;
}
inline void store4(unsigned char* to, long i, Bytes4 value) {
  *reinterpret_cast<Bytes4*>(to + i) = value;
}

/// Of 16 rows of two pieces of four words, this thread's part: of the first piece of the upper and
/// the lower 8 rows, word lane % 4 of row lane / 4; then of the second piece. at(row, piece) is
/// where a piece begins, a multiple of 16 bytes. (ldmatrix moves 16-byte rows, whatever they hold.)
template <class Place>
void load_matrices([[maybe_unused]] Shared<const float> from, [[maybe_unused]] float (&to)[4],
                   [[maybe_unused]] Place at) {
#if __CUDA_ARCH__ >= 800
  const int place = at(warp_lane() % 16, warp_lane() / 16);
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(from + place));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=f"(to[0]), "=f"(to[1]), "=f"(to[2]), "=f"(to[3])
               : "r"(address)
               : "memory");
#endif
}

/// The same value, once more: the compiler, which would otherwise compute it anew in each turn of a
/// loop, cannot tell that it is. All lanes of the warp call it together.
inline int held(int value) {
  return __shfl_sync(0xffffffffu, value, static_cast<int>(threadIdx.x) % 32);
}
inline unsigned held(unsigned value) {
  return __shfl_sync(0xffffffffu, value, static_cast<int>(threadIdx.x) % 32);
}
inline long held(long value) { // of tensors so large that it matters little
  return value;
}

/// from + index: one instruction, where the compiler would add up the parts of both anew.
template <class T> unsigned long address_of(const T* from, int index) {
  unsigned long address;
  asm("mad.wide.s32 %0, %1, %2, %3;"
      : "=l"(address)
      : "r"(index), "n"(static_cast<int>(sizeof(T))), "l"(from));
  return address;
}
template <class T> unsigned long address_of(const T* from, long index) {
  return reinterpret_cast<unsigned long>(from + index);
}

/// Starts to copy `count` elements, 4, 8 or 16 bytes, from[index + behind].. to to[at]..; zeros
/// where `exists` is false: then nothing is read, and the index may be any that is aligned. Both
/// addresses are multiples of the size. `kept`: in the cache beside shared memory, for who reads
/// them again soon. Unless `wanted`, nothing happens; the instruction has it as a predicate, so
/// that all else is as for others. GPUs before sm_80 copy at once.
template <int count, int at = 0, int behind = 0, bool kept = false, class T, class Index>
void copy_async(Shared<float> to, const T* from, Index index, bool exists, bool wanted = true) {
  constexpr int bytes = count * sizeof(T);
  static_assert(bytes == 4 || bytes == 8 || bytes == 16, "cp.async copies 4, 8 or 16 bytes");
  static_assert(long(behind) * long(sizeof(T)) < 1L << 31, "an instruction holds the distance");
#if __CUDA_ARCH__ >= 800
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(to));
  if constexpr (bytes == 16 && !kept)
    asm volatile(
        "{ .reg .pred none, wanted;\n"
        "setp.eq.s32 none, %2, 0; setp.ne.s32 wanted, %3, 0;\n"
        "@wanted cp.async.cg.shared.global [%0 + %4], [%1 + %5], 16, none; }" ::"r"(address),
        "l"(address_of(from, index)), "r"(static_cast<int>(exists)), "r"(static_cast<int>(wanted)),
        "n"(at * 4), "n"(behind * static_cast<int>(sizeof(T)))
        : "memory");
  else
    asm volatile(
        "{ .reg .pred none, wanted;\n"
        "setp.eq.s32 none, %2, 0; setp.ne.s32 wanted, %3, 0;\n"
        "@wanted cp.async.ca.shared.global [%0 + %5], [%1 + %6], %4, none; }" ::"r"(address),
        "l"(address_of(from, index)), "r"(static_cast<int>(exists)), "r"(static_cast<int>(wanted)),
        "n"(bytes), "n"(at * 4), "n"(behind * static_cast<int>(sizeof(T)))
        : "memory");
#else
  if (!wanted)
    return;
  const float* words = reinterpret_cast<const float*>(from + index + behind);
  for (int i = 0; i < bytes / 4; ++i)
    to[at + i] = exists ? words[i] : 0.0f;
#endif
}
/// Ends a group of copies of this thread.
inline void copy_commit() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
/// Waits until at most the `pending` newest groups of this thread are on their way. A barrier then
/// shows them to the other threads.
template <int pending> void copy_wait() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
#endif
}

/// The value of the lane whose number differs by `mask`, and of lane `source`. All lanes of the
/// warp call it together.
inline float shuffle_xor(float value, int mask) {
  return __shfl_xor_sync(0xffffffffu, value, mask);
}
inline int shuffle_xor(int value, int mask) {
  return __shfl_xor_sync(0xffffffffu, value, mask);
}
inline float shuffle(float value, int source) {
  return __shfl_sync(0xffffffffu, value, source);
}

/// The nearest TF32 number, as the matrix instructions take it; from sm_80 on, as all that follows.
inline unsigned to_tf32([[maybe_unused]] float value) {
  unsigned bits = 0;
#if __CUDA_ARCH__ >= 800
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
#endif
  return bits;
}
/// The same in its upper 19 bits, all that matrix instructions look at; one instruction less.
inline unsigned tf32_operand(float value) {
  const unsigned bits = __float_as_uint(value);
  // A NaN must not wrap around, nor lose all the bits that make it one. (With a constant here ptxas
  // makes a branch of it, and then lets no two products of a warpgroup overlap.)
  return value == value ? bits + 0x1000 : bits | 0x400000;
}
/// The nearest bf16 numbers; `low` in the lower half.
inline unsigned pack_bf16([[maybe_unused]] float low, [[maybe_unused]] float high) {
  unsigned bits = 0;
#if __CUDA_ARCH__ >= 800
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
#endif
  return bits;
}
/// A float and its bits.
inline float as_float(unsigned bits) {
  return __uint_as_float(bits);
}
inline unsigned as_bits(float value) {
  return __float_as_uint(value);
}
/// d += a b on 16x8 sums of the warp, 8 (TF32) or 16 (bf16) deep. Fragments as the PTX ISA lays
/// them out (section "Warp-level matrix instructions", mma.m16n8k8 and mma.m16n8k16): with g = lane
/// / 4 and t = lane % 4, d holds rows g, g, g + 8, g + 8 and columns 2t, 2t + 1, 2t, 2t + 1; a of
/// TF32 rows g, g + 8, g, g + 8 at depths t, t, t + 4, t + 4; b of TF32 column g at depths t, t
/// + 4. A register of bf16 holds depths 2t, 2t + 1: a rows g, g + 8, g, g + 8, the last two 8
/// deeper; b column g, the second 8 deeper.
inline void mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}
inline void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

inline float sqrt(float x) {
  return ::sqrtf(x);
}
/// Off by 2 units in the last place at most; 0 for divisors beyond 2^126.
inline float fast_divide(float x, float y) {
  return __fdividef(x, y);
}
inline float fast_sqrt(float x) {
  float root;
  asm("sqrt.approx.f32 %0, %1;" : "=f"(root) : "f"(x));
  return root;
}
/// The inverses of the square root and of the fourth root, likewise; of normal numbers above 0.
inline float fast_inverse_root(float x) {
  float root;
  asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(root) : "f"(x));
  return root;
}
inline float fast_inverse_fourth_root(float x) {
  float root;
  asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(root) : "f"(fast_inverse_root(x)));
  return root;
}
inline float exp(float x) {
  return ::expf(x);
}
inline float log(float x) {
  return ::logf(x);
}
inline float tanh(float x) {
  return ::tanhf(x);
}
inline float abs(float x) {
  return ::fabsf(x);
}
inline float floor(float x) {
  return ::floorf(x);
}
inline float pow(float x, float y) {
  return ::powf(x, y);
}

} // namespace netc
