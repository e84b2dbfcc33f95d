#pragma once
// The matrix instructions of a warpgroup (cuda/hardware_warpgroup.h), for a host. They are done
// when a thread waits for them: what is changed too early, or read too early, shows.

#include "codegen/device/emu/primitives.h"

namespace netc {

namespace emu {

/// A product that was started: 64 rows by 8 columns a piece of `d`.
struct StartedProduct {
  float (*d)[4];
  int pieces;
  const unsigned* a; ///< Four words, which stay until the product is done.
  Shared<const float> b;
  int leading;
  Place place;
};

/// Word `word` of line `line` of an operand: `leading` floats apart are pieces of four words.
inline unsigned operand_word(const StartedProduct& p, int line, int word) {
  return bits_of(p.b[Index(line * 4 + word / 4 * p.leading + word % 4, p.place)]);
}

} // namespace emu

/// Products on their way.
template <int most> struct WarpgroupQueue {
  emu::StartedProduct started[most];
  bool bf16[most];
  int count = 0, committed = 0;

  void start(bool is_bf16, const emu::StartedProduct& product) {
    if (count == most) // nobody waited for the others
      emu::fail(emu::Fault::unawaited, product.b.array(), 0, 0, product.place);
    if (product.b.byte(0) % 16 != 0 || product.leading % 4 != 0)
      emu::fail(emu::Fault::misaligned, product.b.array(), product.b.byte(0), 16, product.place);
    bf16[count] = is_bf16;
    started[count++] = product;
  }
};

inline void show_to_warpgroups() {}
inline void warpgroup_begin() {}
template <int most> void warpgroup_commit(WarpgroupQueue<most>& queue) {
  queue.committed = queue.count;
}

template <int most, int m, int n>
void warpgroup_wait(WarpgroupQueue<most>& queue, float (&)[m][n][4]) {
  for (int i = 0; i < queue.count; ++i) {
    const emu::StartedProduct& p = queue.started[i];
    if (i >= queue.committed)
      emu::fail(emu::Fault::unawaited, p.b.array(), 0, 0, p.place);
    const unsigned a[4] = {p.a[0], p.a[1], p.a[2], p.a[3]};
    for (int piece = 0; piece < p.pieces; ++piece) {
      // Depth t and t + 4 of a TF32 instruction, 2t, 2t + 1 and 8 more of one of bf16: words t, t
      // + 4.
      const int line = piece * 8 + warp_lane() / 4, word = warp_lane() % 4;
      const unsigned b[2] = {emu::operand_word(p, line, word),
                             emu::operand_word(p, line, word + 4)};
      if (queue.bf16[i])
        mma_bf16(p.d[piece], a, b, p.place);
      else
        mma_tf32(p.d[piece], a, b, p.place);
    }
  }
  queue.count = queue.committed = 0;
}

template <int columns, int most>
void warpgroup_tf32(WarpgroupQueue<most>& queue, float (&d)[columns / 8][4], const unsigned (&a)[4],
                    Shared<const float> from, int leading, emu::Place place = {}) {
  queue.start(false, {d, columns / 8, a, from, leading, place});
}
template <int columns, int most>
void warpgroup_bf16(WarpgroupQueue<most>& queue, float (&d)[columns / 8][4], const unsigned (&a)[4],
                    Shared<const float> from, int leading, emu::Place place = {}) {
  queue.start(true, {d, columns / 8, a, from, leading, place});
}

} // namespace netc
