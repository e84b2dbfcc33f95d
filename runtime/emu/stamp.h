#pragma once
// The layout of emu::Stamp. From the top: whether a copy is under way (of writers), the interval
// between barriers, the warp's interval within it, the thread, how many threads (of readers).

#include "ir/emulator_abi.h"

namespace netc::emu {

inline constexpr int thread_shift = 2;
inline constexpr int warp_interval_shift = thread_shift + 10;
inline constexpr int interval_shift = warp_interval_shift + 15;
inline constexpr int most_threads = 1 << (warp_interval_shift - thread_shift);
inline constexpr Stamp most_warp_intervals = Stamp{1} << (interval_shift - warp_interval_shift);

/// Set in Cell::writer while an asynchronous copy to the cell is under way.
inline constexpr Stamp pending_bit = Stamp{1} << 63;

/// Who has read a cell since it was last ordered: the stamp's thread, several of its warp, or
/// threads of several warps. That is all one must know to judge the next writer.
enum Crowd : Stamp { one_thread = 0, one_warp = 1, several_warps = 2 };

inline Crowd crowd(Stamp stamp) {
  return static_cast<Crowd>(stamp & 3);
}
inline int thread(Stamp stamp) {
  return static_cast<int>(stamp >> thread_shift) & (most_threads - 1);
}
inline int warp(Stamp stamp) {
  return thread(stamp) / 32;
}
inline Stamp warp_interval(Stamp stamp) {
  return stamp >> warp_interval_shift & (most_warp_intervals - 1);
}
/// Counts up from block to block and from barrier to barrier.
inline Stamp interval(Stamp stamp) {
  return stamp >> interval_shift;
}
/// The earliest stamp of an interval.
inline Stamp start_of(Stamp interval) {
  return interval << interval_shift;
}

} // namespace netc::emu
