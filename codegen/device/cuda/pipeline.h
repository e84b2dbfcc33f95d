#pragma once
// The loops over the slices of a product: some are on their way to shared memory while others are
// multiplied. Which of them a product takes depends on how its operands lie there (add_slices).

#include "codegen/device/cuda/warpgroup_parts.h"

namespace netc {

/// Where a tile begins, and which split of its depth is summed.
struct TilePlace {
  int group, row, column, split;
};

template <Tiling t> struct SumsOf { using Type = MmaSums<t.rows, t.columns, t.math>; };
template <Tiling t>
requires(t.math == Math::fma) struct SumsOf<t> {
  using Type = FmaSums<t.rows, t.columns>;
};
template <Tiling t>
requires(t.warpgroup && !has_parts(t)) struct SumsOf<t> {
  using Type = WarpgroupSums<t>;
};
template <Tiling t>
requires(has_parts(t)) struct SumsOf<t> {
  using Type = WarpgroupPartSums<t>;
};

/// How a slice of an operand lies in shared memory.
template <class Operand, Tiling t, int extent, int pad, bool direct>
using LayoutOf = typename Choose<
    direct,
    DirectLayout<extent, t.slice, Operand::by_depth || t.math == Math::tf32,
                 typename Operand::Element>,
    SliceLayout<extent, t.slice, Operand::by_depth, pad, typename Operand::Element>>::Type;

/// The slices of a block in shared memory, `stages` of each operand; behind them, where they are
/// not copied so, the columns of two slices as the instructions of a warpgroup take them.
template <class Product, Tiling t> struct Slices {
  using A = LayoutOf<typename Product::A, t, t.rows, row_pad(t, Product::A::by_depth),
                     Product::direct_rows>;
  using B = LayoutOf<typename Product::B, t, copied_columns(t), column_pad(t, Product::B::by_depth),
                     Product::direct_columns>;
  static constexpr int a_floats = t.warpgroup ? swizzled_floats(A::floats) : A::floats;
  static constexpr int b_floats = t.warpgroup ? swizzled_floats(B::floats) : B::floats;
  static Shared<float> a(int stage) {
    return shared_array<float>(stage * (a_floats + b_floats) * 4, A::floats);
  }
  static Shared<float> b(int stage) {
    return shared_array<float>((stage * (a_floats + b_floats) + a_floats) * 4, B::floats);
  }
  static Shared<float> rounded(int slice) {
    constexpr int floats = rounded_floats(t);
    return shared_array<float>((t.stages * (a_floats + b_floats) + slice % 2 * floats) * 4, floats);
  }
};

/// The places of the slice before, which is the next to be filled, and of the one behind.
template <int stages> int stage_before(int stage) {
  return stage == 0 ? stages - 1 : stage - 1;
}
template <int stages> int stage_after(int stage) {
  return stage + 1 == stages ? 0 : stage + 1;
}

/// Slices on their way before one is multiplied: one place is left for who reads. Where products
/// may be under way while the next begin, one more for each slice of them.
template <Tiling t> constexpr int slices_ahead_direct = t.stages - 1 - slices_pending(t);
/// A warpgroup that rounds needs the next slice as well; one that multiplies parts has read a slice
/// before.
template <Tiling t>
constexpr int slices_ahead_rounded = has_parts(t) || t.stages == 2 ? t.stages : t.stages - 1;

/// Multiplies slices first .. end - 1, of which t.stages - 1 are under way; load(slice, stage,
/// operand) brings the rows (0) or columns (1) of a further one.
template <Tiling t, class S, class Load, class Sums>
void multiply(Load load, int first, int end, Sums& sums) {
  int stage = 0;
  for (int slice = first; slice < end; ++slice) {
    copy_wait<t.stages - 2>();
    barrier(); // the slice is there; the one before has been read, its place is free
    for (int operand = 0; operand < 2; ++operand)
      load(slice + t.stages - 1, stage_before<t.stages>(stage), operand);
    copy_commit();
    sums.template add<typename S::A, typename S::B>(S::a(stage), S::b(stage));
    stage = stage_after<t.stages>(stage);
  }
}

/// The same by a warpgroup, of operands in DirectLayouts: it multiplies by itself while its threads
/// start copies. multiply(stage) starts the products of a slice, load(slice, stage) brings another.
template <Tiling t, class Load, class Multiply, class Sums>
void multiply_direct(Load load, Multiply multiply, int first, int end, Sums& sums) {
  constexpr int ahead = slices_ahead_direct<t>, pending = slices_pending(t);
  static_assert(ahead >= 1, "a slice must be on its way");
  int stage = 0;
  for (int slice = first; slice < end; ++slice) {
    copy_wait<ahead - 1>();
    show_to_warpgroups(); // what this thread copied
    sums.template wait<pending>();
    barrier(); // the slice is there; one before has been multiplied, its place is free
    warpgroup_begin();
    multiply(stage);
    sums.commit();
    load(slice + ahead, stage + ahead < t.stages ? stage + ahead : stage + ahead - t.stages);
    copy_commit();
    stage = stage_after<t.stages>(stage);
  }
  sums.template wait<0>();
}

/// The same where rows go through registers, which are filled before a slice's products begin. An
/// instruction whose rows are in registers holds up the one behind it, so copies stand between
/// them.
template <Tiling t, class S, class Load, class Sums>
void multiply_rows(Load load, int first, int end, Sums& sums) {
  constexpr int ahead = t.stages - 1, steps = warpgroup_steps(t);
  if (first >= end) // no sum is set between products: ptxas would have them wait for one another
    return;
  int stage = 0;
  for (int slice = first; slice < end; ++slice) {
    copy_wait<ahead - 1>();
    show_to_warpgroups(); // the columns that this thread copied
    sums.template wait<0>();
    barrier(); // the slice is there; the one before has been multiplied, its place is free
    sums.template bring_rows<typename S::A>(S::a(stage));
    warpgroup_begin();
#pragma unroll
    for (int operand = 0; operand < 2; ++operand) {
      for (int step = operand * steps / 2; step < (operand + 1) * steps / 2; ++step)
        sums.multiply(step, S::B::operand(S::b(stage), 0) + S::B::start(0, step * t.slice / steps));
      load(slice + ahead, stage_before<t.stages>(stage), operand);
    }
    sums.commit();
    copy_commit();
    stage = stage_after<t.stages>(stage);
  }
  sums.template wait<0>();
}

/// The same where the operands are rounded here, too: while a slice is multiplied, the columns of
/// the next are. Its rows come to registers before it is multiplied, or where that takes the
/// longer time of parts, while the slice before is: then all of a slice has been read, and its
/// place is free, when its products begin.
template <Tiling t, class S, class Load, class Sums>
void multiply_rounded(Load load, int first, int end, Sums& sums) {
  constexpr int ahead = slices_ahead_rounded<t>, products = Sums::products;
  constexpr bool early = has_parts(t);
  if (first >= end)
    return;
  copy_wait<ahead - 1>();
  barrier(); // the first slice is there
  sums.template round_columns<typename S::A, typename S::B, 1>(S::b(0), S::rounded(0), 0);
  if constexpr (early)
    sums.template bring_rows<typename S::A>(S::a(0));
  int stage = 0;
  for (int slice = first; slice < end; ++slice) {
    const int next = stage_after<t.stages>(stage);
    copy_wait<ahead - 2>();
    show_to_warpgroups(); // the columns that this thread rounded
    sums.template wait<0>();
    barrier(); // the next slice is there; the one before has been multiplied, its places are free
    if constexpr (early)
      sums.round_rows();
    else
      sums.template bring_rows<typename S::A>(S::a(stage));
    if constexpr (!early && ahead == t.stages)
      barrier(); // this slice's rows have been read, its columns were before
    warpgroup_begin();
#pragma unroll
    for (int work = 0; work < 4; ++work) {
      for (int product = work * products / 4; product < (work + 1) * products / 4; ++product)
        sums.multiply_rounded(product, S::rounded(slice - first));
      if (work < 2)
        load(slice + ahead, ahead == t.stages ? stage : stage_before<t.stages>(stage), work);
      else if (slice + 1 < end)
        sums.template round_columns<typename S::A, typename S::B, 2>(
            S::b(next), S::rounded(slice - first + 1), work - 2);
    }
    sums.commit();
    copy_commit();
    if constexpr (early)
      if (slice + 1 < end)
        sums.template bring_rows<typename S::A>(S::a(next));
    stage = next;
  }
  sums.template wait<0>();
}

} // namespace netc
