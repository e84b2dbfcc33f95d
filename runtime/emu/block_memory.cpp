// The rules of memory: which accesses are ordered, and what a thread may read.

#include "runtime/emu/block.h"
#include "runtime/emu/stamp.h"

#include <cstdlib>
#include <cstring>

namespace netc {

/// Whether the access with this stamp, of this launch, happens before what the running thread does.
bool EmulatedBlock::ordered(emu::Stamp before) const {
  if (before < block_start_)
    return false; // another block: in global memory only, where all earlier launches are settled
  if (emu::interval(before) != emu::interval(now))
    return true;
  if (emu::crowd(before) == emu::several_warps || emu::warp(before) != emu::warp(now))
    return false;
  if (emu::warp_interval(before) != emu::warp_interval(now))
    return true;
  return emu::crowd(before) == emu::one_thread && emu::thread(before) == emu::thread(now);
}

/// Adds the running thread to the readers of a cell, such that any later write with which one of
/// the readers races is still recognised.
void EmulatedBlock::note_reader(const emu::Region& region, emu::Cell& cell,
                                emu::Place place) const {
  emu::Stamp others = emu::one_thread;
  if (cell.reader >= region.settled && !ordered(cell.reader)) {
    if (cell.reader < block_start_ || emu::crowd(cell.reader) == emu::several_warps)
      return; // races with whatever comes, until it is settled
    others = emu::warp(cell.reader) == emu::warp(now) ? emu::one_warp : emu::several_warps;
  }
  cell.reader = now | others;
  cell.reader_place = place.bits;
}

void EmulatedBlock::read(emu::Region& region, emu::Cell& cell, emu::Place place) {
  const emu::Stamp writer = cell.writer & ~emu::pending_bit;
  if (writer < region.readable_from)
    fail_at(emu::Fault::uninitialised, region, cell, false, place, {});
  const Other other{.stamp = writer, .place = emu::Place(cell.writer_place)};
  if (writer != cell.writer)
    fail_at(emu::Fault::pending_copy, region, cell, false, place, other);
  if (writer >= region.settled && !ordered(writer))
    fail_at(emu::Fault::race, region, cell, false, place, other);
  note_reader(region, cell, place);
}

void EmulatedBlock::write(emu::Region& region, emu::Cell& cell, emu::Place place) {
  const emu::Stamp writer = cell.writer & ~emu::pending_bit;
  const Other other{.stamp = writer, .place = emu::Place(cell.writer_place)};
  if (writer != cell.writer && writer >= region.readable_from)
    fail_at(emu::Fault::pending_copy, region, cell, true, place, other);
  if (writer >= region.settled && !ordered(writer))
    fail_at(emu::Fault::race, region, cell, true, place, other);
  if (cell.reader >= region.settled && !ordered(cell.reader))
    fail_at(emu::Fault::race, region, cell, true, place,
            Other{.stamp = cell.reader, .place = emu::Place(cell.reader_place)});
  cell.writer = now;
  cell.writer_place = place.bits;
}

/// Calls what may throw. The exception is raised on the caller's stack.
template <class Function> void EmulatedBlock::on_fibre(Function function) {
  try {
    function();
    return;
  } catch (...) {
    failure_ = std::current_exception();
  }
  leave(); // not from within the handler, which the caller's stack knows nothing of
}

void EmulatedBlock::refine(emu::Region& region) {
  EmulatorShadow& shadow =
      &region == &shared ? *shared_shadow_ : *shadows_[&region - regions_.data()];
  on_fibre([&] { shadow.refine(); });
}

void EmulatedBlock::copy_async(long offset, const unsigned char* from, int bytes,
                               emu::Place place) {
  emu::Shadow& shadow = *shared.shadow;
  for (long at = offset; at < offset + bytes; at += 1 << shadow.shift) {
    emu::Cell& cell = shadow.cells[at >> shadow.shift];
    write(shared, cell, place);
    cell.writer |= emu::pending_bit;
  }
  Thread& thread = *threads_[lane];
  Copy copy{offset, bytes, thread.groups, {}};
  if (from != nullptr)
    std::memcpy(copy.data, from, bytes);
  on_fibre([&] { thread.copies.push_back(copy); });
}

void EmulatedBlock::copy_commit() {
  ++threads_[lane]->groups;
}

void EmulatedBlock::copy_wait(int pending, emu::Place) {
  Thread& thread = *threads_[lane];
  const emu::Shadow& shadow = *shared.shadow;
  while (thread.first_copy < thread.copies.size() &&
         thread.copies[thread.first_copy].group < thread.groups - pending) {
    const Copy& copy = thread.copies[thread.first_copy++];
    std::memcpy(shared.data + copy.offset, copy.data, copy.bytes);
    for (long at = copy.offset; at < copy.offset + copy.bytes; at += 1 << shadow.shift)
      shadow.cells[at >> shadow.shift].writer = now;
  }
  if (thread.first_copy == thread.copies.size()) {
    thread.copies.clear();
    thread.first_copy = 0;
  }
}

void EmulatedBlock::fail(emu::Fault fault, const emu::Region* region, long offset, int bytes,
                         emu::Place place) {
  stop({fault, region, offset, bytes, false, place, {}});
}

void EmulatedBlock::fail_at(emu::Fault fault, const emu::Region& region, const emu::Cell& cell,
                            bool writes, emu::Place place, const std::optional<Other>& other) {
  const emu::Shadow& shadow = *region.shadow;
  stop({fault, &region, (&cell - shadow.cells) << shadow.shift, 1 << shadow.shift, writes, place,
        other});
}

void EmulatedBlock::stop(const Report& report) {
  report_ = report;
  leave();
}

/// Ends the launch from a thread's fibre.
void EmulatedBlock::leave() {
  threads_[lane]->fibre.switch_to(caller_);
  std::abort(); // nobody continues this thread
}

} // namespace netc
