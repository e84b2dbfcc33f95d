#pragma once
// The matrix instructions of a warpgroup, four warps of a block (PTX ISA, section "Asynchronous
// Warpgroup Level Matrix Instructions"): sm_90a alone has them. They run by themselves, beside
// their threads.

#include "codegen/device/cuda/hardware.h"

namespace netc {

/// Products on their way. Empty: the hardware keeps them.
template <int /*most*/> struct WarpgroupQueue {};

/// Where matrix instructions find an operand in shared memory (PTX ISA, "Matrix Descriptor
/// Format"). It lies in rows of 16 bytes, or of 32, 64 or 128 that are swizzled: consecutive depths
/// of a line, 8 lines of which follow one another, or, transposed (bf16 alone), consecutive lines
/// of a depth, 8 depths of which do. Groups of 8 rows are `groups` floats apart. What a row does
/// not hold, the next depths (lines), is `blocks` behind; one of 32 bytes or more holds all depths
/// of an instruction, which then does not look at `blocks`. Swizzled are the bits of addresses
/// themselves: an operand may begin in any row, as long as the rows of a slice begin at multiples
/// of 1024 bytes.
struct WarpgroupOperand {
  unsigned low, high;
  operator unsigned long() const { return static_cast<unsigned long>(high) << 32 | low; }
  /// The operand `floats` behind, a multiple of 4. The address has 14 bits, as many as all shared
  /// memory of a block needs: nothing is carried to the next field.
  WarpgroupOperand operator+(int floats) const { return {low + floats / 4, high}; }
};
inline WarpgroupOperand warpgroup_operand(Shared<const float> from, int blocks, int groups,
                                          int row_bytes) {
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(from));
  const unsigned mode = row_bytes == 128 ? 1 : row_bytes == 64 ? 2 : row_bytes == 32 ? 3 : 0;
  return {(address & 0x3ffff) >> 4 | static_cast<unsigned>(blocks / 4) << 16,
          static_cast<unsigned>(groups / 4) | mode << 30};
}

/// This warpgroup of the block. The compiler sees that it is the same for all threads of a warp.
inline int warpgroup() {
  return __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / 128, 0);
}

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

/// What this thread wrote to shared memory can be seen by matrix instructions after a barrier.
inline void show_to_warpgroups() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
/// Registers that this thread wrote can be read by the products that follow.
inline void warpgroup_begin() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
/// The products since the last call are a group; only those of groups are waited for.
template <int most> void warpgroup_commit(WarpgroupQueue<most>&) {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/// Waits for all groups of products but the `pending` newest. With none, the sums are then in `d`.
template <int pending, int most, int m, int n>
void warpgroup_wait(WarpgroupQueue<most>&, float (&d)[m][n][4]) {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
  if constexpr (pending == 0)
#pragma unroll
    for (int i = 0; i < m; ++i)
#pragma unroll
      for (int j = 0; j < n; ++j) // nobody reads a sum before the instruction above
        asm volatile("" : "+f"(d[i][j][0]), "+f"(d[i][j][1]), "+f"(d[i][j][2]), "+f"(d[i][j][3]));
}

// An instruction's sums, 8 columns and 4 registers a piece; their names in its text; and those of
// the operands behind them, as it has them in shared memory or, the rows, in registers.
#define NETC_SUMS(j) "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])
#define NETC_SUMS_48                                                                               \
  NETC_SUMS(0), NETC_SUMS(1), NETC_SUMS(2), NETC_SUMS(3), NETC_SUMS(4), NETC_SUMS(5)
#define NETC_SUMS_64 NETC_SUMS_48, NETC_SUMS(6), NETC_SUMS(7)
#define NETC_SUMS_96 NETC_SUMS_64, NETC_SUMS(8), NETC_SUMS(9), NETC_SUMS(10), NETC_SUMS(11)
#define NETC_SUMS_128 NETC_SUMS_96, NETC_SUMS(12), NETC_SUMS(13), NETC_SUMS(14), NETC_SUMS(15)
#define NETC_NAMES_48                                                                              \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, "     \
  "%20, %21, %22, %23"
#define NETC_NAMES_64 NETC_NAMES_48 ", %24, %25, %26, %27, %28, %29, %30, %31"
#define NETC_NAMES_96                                                                              \
  NETC_NAMES_64 ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define NETC_NAMES_128                                                                             \
  NETC_NAMES_96 ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define NETC_OPERANDS_48(form) form("%24", "%25", "%26", "%27", "%28")
#define NETC_OPERANDS_64(form) form("%32", "%33", "%34", "%35", "%36")
#define NETC_OPERANDS_96(form) form("%48", "%49", "%50", "%51", "%52")
#define NETC_OPERANDS_128(form) form("%64", "%65", "%66", "%67", "%68")
#define NETC_SHARED(a, b, transposed, unused, unused_too) a ", " b ", 1, 1, 1"
#define NETC_SHARED_BF16(a, b, transposed, unused, unused_too)                                     \
  a ", " b ", 1, 1, 1, " transposed ", " transposed
#define NETC_ROWS_HELD(a0, a1, a2, a3, b) "{" a0 ", " a1 ", " a2 ", " a3 "}, " b ", 1, 1, 1"
#define NETC_ROWS_HELD_FRESH(a0, a1, a2, a3, b) "{" a0 ", " a1 ", " a2 ", " a3 "}, " b ", 0, 1, 1"
#define NETC_ROWS_HELD_BF16(a0, a1, a2, a3, b) NETC_ROWS_HELD(a0, a1, a2, a3, b) ", 0"
#define NETC_WGMMA(size, kind, form, ...)                                                          \
  asm volatile("wgmma.mma_async.sync.aligned.m64n" #size kind " {" NETC_NAMES_##size               \
               "}, " NETC_OPERANDS_##size(form) ";"                                                \
               : NETC_SUMS_##size                                                                  \
               : __VA_ARGS__)
#define NETC_WGMMA_OF_COLUMNS(kind, form, ...)                                                     \
  if constexpr (columns == 48)                                                                     \
    NETC_WGMMA(48, kind, form, __VA_ARGS__);                                                       \
  else if constexpr (columns == 64)                                                                \
    NETC_WGMMA(64, kind, form, __VA_ARGS__);                                                       \
  else if constexpr (columns == 96)                                                                \
    NETC_WGMMA(96, kind, form, __VA_ARGS__);                                                       \
  else                                                                                             \
    NETC_WGMMA(128, kind, form, __VA_ARGS__)

/// Starts d += a b on the 64 x `columns` sums of a warpgroup, 8 (TF32) or 16 (bf16) deep. A warp
/// has 16 rows, of which d[j] holds columns 8j to 8j + 7, as in mma_tf32 and mma_bf16; so does `a`
/// in registers. `fresh`: d = a b.
template <int columns, bool fresh = false, int most>
void warpgroup_tf32(WarpgroupQueue<most>&, float (&d)[columns / 8][4], const unsigned (&a)[4],
                    WarpgroupOperand b) {
  if constexpr (fresh) {
    NETC_WGMMA_OF_COLUMNS("k8.f32.tf32.tf32", NETC_ROWS_HELD_FRESH, "r"(a[0]), "r"(a[1]), "r"(a[2]),
                          "r"(a[3]), "l"(static_cast<unsigned long>(b)));
  } else {
    NETC_WGMMA_OF_COLUMNS("k8.f32.tf32.tf32", NETC_ROWS_HELD, "r"(a[0]), "r"(a[1]), "r"(a[2]),
                          "r"(a[3]), "l"(static_cast<unsigned long>(b)));
  }
}
template <int columns, int most>
void warpgroup_bf16(WarpgroupQueue<most>&, float (&d)[columns / 8][4], const unsigned (&a)[4],
                    WarpgroupOperand b) {
  NETC_WGMMA_OF_COLUMNS("k16.f32.bf16.bf16", NETC_ROWS_HELD_BF16, "r"(a[0]), "r"(a[1]), "r"(a[2]),
                        "r"(a[3]), "l"(static_cast<unsigned long>(b)));
}
/// The same with the rows in shared memory.
template <int columns, int most>
void warpgroup_tf32(WarpgroupQueue<most>&, float (&d)[columns / 8][4], WarpgroupOperand a,
                    WarpgroupOperand b) {
  NETC_WGMMA_OF_COLUMNS("k8.f32.tf32.tf32", NETC_SHARED, "l"(static_cast<unsigned long>(a)),
                        "l"(static_cast<unsigned long>(b)));
}
/// `transposed`: both operands are.
template <int columns, bool transposed, int most>
void warpgroup_bf16(WarpgroupQueue<most>&, float (&d)[columns / 8][4], WarpgroupOperand a,
                    WarpgroupOperand b) {
  NETC_WGMMA_OF_COLUMNS("k16.f32.bf16.bf16", NETC_SHARED_BF16, "l"(static_cast<unsigned long>(a)),
                        "l"(static_cast<unsigned long>(b)), "n"(static_cast<int>(transposed)));
}

#undef NETC_SUMS
#undef NETC_SUMS_48
#undef NETC_SUMS_64
#undef NETC_SUMS_96
#undef NETC_SUMS_128
#undef NETC_NAMES_48
#undef NETC_NAMES_64
#undef NETC_NAMES_96
#undef NETC_NAMES_128
#undef NETC_OPERANDS_48
#undef NETC_OPERANDS_64
#undef NETC_OPERANDS_96
#undef NETC_OPERANDS_128
#undef NETC_SHARED
#undef NETC_SHARED_BF16
#undef NETC_ROWS_HELD
#undef NETC_ROWS_HELD_FRESH
#undef NETC_ROWS_HELD_BF16
#undef NETC_WGMMA
#undef NETC_WGMMA_OF_COLUMNS

#endif

} // namespace netc
