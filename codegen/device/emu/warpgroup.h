#pragma once
// The matrix instructions of a warpgroup (cuda/hardware_warpgroup.h), for a host. Operands are read
// when one is started and again when a thread waits for it, which is when it is done: what is not
// there yet, is changed too early, or read too early, shows.

#include "codegen/device/emu/primitives.h"

namespace netc {

/// An operand in shared memory.
struct WarpgroupOperand {
  Shared<const float> from;
  int blocks, groups, row_bytes;
  WarpgroupOperand operator+(int floats) const {
    return {from + floats, blocks, groups, row_bytes};
  }
};
inline WarpgroupOperand warpgroup_operand(Shared<const float> from, int blocks, int groups,
                                          int row_bytes) {
  return {from, blocks, groups, row_bytes};
}

/// This warpgroup of the block.
inline int warpgroup() {
  return lane() / 128;
}

namespace emu {

/// A product that was started: 64 rows by 8 columns a piece of `d`.
struct StartedProduct {
  float (*d)[4];
  int pieces;
  bool bf16, transposed, fresh;
  const unsigned* registers; ///< Four words, which stay until the product is done; null: in `a`.
  WarpgroupOperand a, b;
  Place place;
  int group = 0; ///< Number of the commit that it is waited for by.
};

/// The word of an operand that holds byte `along` of a row.
inline unsigned operand_word(const StartedProduct& p, const WarpgroupOperand& o, int row,
                             int along) {
  const long begin = o.from.array().first + o.from.byte(0); // in shared memory
  long at = begin + 4L * (row / 8 * o.groups + along / o.row_bytes * o.blocks) +
            row % 8 * o.row_bytes + along % o.row_bytes / 4 * 4;
  at ^= (at >> 7 & (o.row_bytes / 16 - 1)) << 4;
  return bits_of(o.from[Index((at - begin) / 4, p.place)]);
}
/// A word of line `line`: depth `word` of TF32, depths 2 word and 2 word + 1 of bf16.
inline unsigned line_word(const StartedProduct& p, const WarpgroupOperand& o, int line, int word) {
  if (!p.transposed)
    return operand_word(p, o, line, 4 * word);
  unsigned halves = 0;
  for (int i = 0; i < 2; ++i) {
    const unsigned pair = operand_word(p, o, 2 * word + i, 2 * line);
    halves |= (line % 2 ? pair >> 16 : pair & 0xffff) << 16 * i;
  }
  return halves;
}

/// Reads a thread's part of a product's operands and calls use(piece, a, b) for its columns: of its
/// warp's 16 of the 64 rows. Depths t and t + 4 of a TF32 instruction, 2t, 2t + 1 and 8 more of one
/// of bf16 are words t and t + 4.
template <class Use> void read_operands(const StartedProduct& p, Use use) {
  const int line = warp_lane() / 4, word = warp_lane() % 4;
  unsigned a[4];
  for (int i = 0; i < 4; ++i)
    a[i] = p.registers ? p.registers[i]
                       : line_word(p, p.a, 16 * (warp() % 4) + line + i % 2 * 8, word + i / 2 * 4);
  for (int piece = 0; piece < p.pieces; ++piece) {
    const unsigned b[2] = {line_word(p, p.b, piece * 8 + line, word),
                           line_word(p, p.b, piece * 8 + line, word + 4)};
    use(piece, a, b);
  }
}
inline void multiply(const StartedProduct& p) {
  read_operands(p, [&](int piece, const unsigned(&a)[4], const unsigned(&b)[2]) {
    if (p.fresh)
      for (float& sum : p.d[piece])
        sum = 0;
    if (p.bf16)
      mma_bf16(p.d[piece], a, b, p.place);
    else
      mma_tf32(p.d[piece], a, b, p.place);
  });
}

} // namespace emu

/// Products on their way.
template <int most> struct WarpgroupQueue {
  emu::StartedProduct started[most];
  int count = 0, groups = 0; ///< Products that are not done; commits.

  void start(const emu::StartedProduct& product) {
    if (count == most) // nobody waited for the others
      emu::fail(emu::Fault::unawaited, product.b.from.array(), 0, 0, product.place);
    check(product.b, product.place);
    if (!product.registers)
      check(product.a, product.place);
    emu::read_operands(product, [](int, const unsigned(&)[4], const unsigned(&)[2]) {});
    started[count] = product;
    started[count++].group = groups;
  }
  /// Takes the first `number` products out.
  void drop(int number) {
    for (int i = number; i < count; ++i)
      started[i - number] = started[i];
    count -= number;
  }

private:
  static void check(const WarpgroupOperand& o, emu::Place place) {
    constexpr int most_floats = 4 << 14; // the fields of a descriptor count 16 bytes in 14 bits
    if (o.from.byte(0) % 16 != 0 || o.blocks % 4 != 0 || o.groups % 4 != 0 ||
        o.blocks >= most_floats || o.groups >= most_floats)
      emu::fail(emu::Fault::misaligned, o.from.array(), o.from.byte(0), 16, place);
  }
};

inline void show_to_warpgroups() {}
inline void warpgroup_begin() {}
template <int most> void warpgroup_commit(WarpgroupQueue<most>& queue) {
  ++queue.groups;
}

template <int pending, int most, int m, int n>
void warpgroup_wait(WarpgroupQueue<most>& queue, float (&)[m][n][4]) {
  int done = 0;
  for (; done < queue.count && queue.started[done].group < queue.groups - pending; ++done)
    emu::multiply(queue.started[done]);
  queue.drop(done);
  // Nobody can wait for what is in no group.
  if (queue.count > 0 && queue.started[queue.count - 1].group == queue.groups) {
    const emu::StartedProduct& product = queue.started[queue.count - 1];
    emu::fail(emu::Fault::unawaited, product.b.from.array(), 0, 0, product.place);
  }
}

template <int columns, bool fresh = false, int most>
void warpgroup_tf32(WarpgroupQueue<most>& queue, float (&d)[columns / 8][4], const unsigned (&a)[4],
                    WarpgroupOperand b, emu::Place place = {}) {
  queue.start({d, columns / 8, false, false, fresh, a, {}, b, place});
}
template <int columns, int most>
void warpgroup_bf16(WarpgroupQueue<most>& queue, float (&d)[columns / 8][4], const unsigned (&a)[4],
                    WarpgroupOperand b, emu::Place place = {}) {
  queue.start({d, columns / 8, true, false, false, a, {}, b, place});
}
template <int columns, int most>
void warpgroup_tf32(WarpgroupQueue<most>& queue, float (&d)[columns / 8][4], WarpgroupOperand a,
                    WarpgroupOperand b, emu::Place place = {}) {
  queue.start({d, columns / 8, false, false, false, nullptr, a, b, place});
}
template <int columns, bool transposed, int most>
void warpgroup_bf16(WarpgroupQueue<most>& queue, float (&d)[columns / 8][4], WarpgroupOperand a,
                    WarpgroupOperand b, emu::Place place = {}) {
  queue.start({d, columns / 8, true, transposed, false, nullptr, a, b, place});
}

} // namespace netc
