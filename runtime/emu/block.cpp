#include "runtime/emu/block.h"

#include "runtime/emu/stamp.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace netc {

void EmulatedBlock::run(const EmulatorLaunch& launch) {
  NETC_CHECK(launch.threads >= 1 && launch.threads <= emu::most_threads && launch.blocks >= 1 &&
                 launch.shared_bytes >= 0,
             "kernel `{}`: {} blocks of {} threads with {} bytes of shared memory", launch.kernel,
             launch.blocks, launch.threads, launch.shared_bytes);
  prepare(launch);
  for (block = 0; block < blocks; ++block) {
    run_block();
    if (failure_)
      std::rethrow_exception(std::exchange(failure_, nullptr));
    if (report_)
      throw describe(launch);
  }
}

void EmulatedBlock::prepare(const EmulatorLaunch& launch) {
  function_ = launch.function;
  blocks = launch.blocks;
  lanes = launch.threads;
  report_.reset();
  stacks_.reserve(lanes);
  while (threads_.size() < static_cast<size_t>(lanes))
    threads_.push_back(std::make_unique<Thread>());
  ready_.resize(lanes);
  warp_gates_.resize((lanes + warp_size - 1) / warp_size);
  warp_intervals_.resize(warp_gates_.size());
  block_starts_.clear();

  ++interval_;
  regions_.clear();
  shadows_.clear();
  for (const EmulatorBuffer& buffer : launch.buffers) {
    NETC_CHECK(buffer.shadow->bytes() >= buffer.bytes, "the shadow of `{}` has {} bytes of {}",
               buffer.name, buffer.shadow->bytes(), buffer.bytes);
    shadows_.push_back(buffer.shadow);
    regions_.push_back({.data = reinterpret_cast<unsigned char*>(buffer.data),
                        .bytes = buffer.bytes,
                        .shadow = buffer.shadow->cells(),
                        .machine = this,
                        .settled = emu::start_of(interval_)});
  }
  buffers = regions_.data();
  if (!shared_shadow_ || shared_shadow_->bytes() < launch.shared_bytes) {
    shared_memory_ = Memory(launch.shared_bytes);
    shared_shadow_ = std::make_unique<EmulatorShadow>(launch.shared_bytes);
  }
  shared = {.data = reinterpret_cast<unsigned char*>(shared_memory_.data()),
            .bytes = launch.shared_bytes,
            .shadow = shared_shadow_->cells(),
            .machine = this};
}

void EmulatedBlock::run_block() {
  start_interval();
  block_start_ = shared.readable_from = emu::start_of(interval_);
  block_starts_.push_back(block_start_);
  block_gate_.arrived = 0;
  for (Gate& gate : warp_gates_)
    gate.arrived = 0;
  ended_ = 0;
  for (int t = 0; t < lanes; ++t) {
    Thread& thread = *threads_[t];
    thread.fibre.prepare(stacks_[t], run_thread, this);
    thread.waits = nullptr;
    thread.ended = false;
    thread.copies.clear();
    thread.first_copy = 0;
    thread.groups = 0;
    ready_[t] = t;
  }
  ready_first_ = 0;
  ready_count_ = lanes;
  take_turn(next_ready());
  caller_.switch_to(threads_[lane]->fibre);
}

void EmulatedBlock::run_thread(void* self) {
  auto& block = *static_cast<EmulatedBlock*>(self);
  block.function_(block);
  block.end_thread();
}

void EmulatedBlock::end_thread() {
  Thread& thread = *threads_[lane];
  thread.ended = true;
  ++ended_;
  if (ready_count_ == 0 && ended_ < lanes)
    report_deadlock();
  if (ready_count_ == 0) {
    thread.fibre.switch_to(caller_);
  } else {
    take_turn(next_ready());
    thread.fibre.switch_to(threads_[lane]->fibre);
  }
  std::abort(); // nobody continues a thread that has ended
}

void EmulatedBlock::take_turn(int thread) {
  lane = thread;
  now = emu::start_of(interval_) | warp_intervals_[thread / warp_size] << emu::warp_interval_shift |
        static_cast<emu::Stamp>(thread) << emu::thread_shift;
}

int EmulatedBlock::next_ready() {
  const int thread = ready_[ready_first_];
  ready_first_ = ready_first_ + 1 == lanes ? 0 : ready_first_ + 1;
  --ready_count_;
  return thread;
}

void EmulatedBlock::wait() {
  if (ready_count_ == 0)
    report_deadlock();
  Thread& own = *threads_[lane];
  take_turn(next_ready());
  own.fibre.switch_to(threads_[lane]->fibre);
}

void EmulatedBlock::wake_others(int first, int last) {
  for (int t = first; t < last; ++t) {
    threads_[t]->waits = nullptr;
    if (t == lane)
      continue;
    const int end = ready_first_ + ready_count_++;
    ready_[end >= lanes ? end - lanes : end] = t;
  }
}

void EmulatedBlock::arrive(Gate& gate, emu::WarpOperation what, emu::Place place) {
  if (gate.arrived++ == 0) {
    gate.place = place;
    gate.what = what;
    gate.first = lane;
  } else if (gate.place.bits != place.bits || gate.what != what) {
    stop({emu::Fault::divergence, nullptr, 0, 0, false, place,
          Other{.thread = gate.first, .place = gate.place}});
  }
  threads_[lane]->waits = &gate;
}

void EmulatedBlock::start_interval() {
  ++interval_;
  shared.settled = emu::start_of(interval_);
  std::fill(warp_intervals_.begin(), warp_intervals_.end(), 0);
}

void EmulatedBlock::barrier(emu::Place place) {
  arrive(block_gate_, emu::WarpOperation::barrier, place);
  if (block_gate_.arrived < lanes)
    return wait();
  block_gate_.arrived = 0;
  start_interval();
  wake_others(0, lanes);
  take_turn(lane);
}

int EmulatedBlock::warp_threads(int warp) const {
  return std::min(warp_size, lanes - warp * warp_size);
}

void EmulatedBlock::warp_operation(emu::WarpOperation what, void* operands, emu::Place place) {
  const int warp = lane / warp_size;
  const int count = warp_threads(warp);
  if (what != emu::WarpOperation::barrier && count < warp_size)
    stop({emu::Fault::divergence, nullptr, 0, 0, false, place, {}});
  Gate& gate = warp_gates_[warp];
  arrive(gate, what, place);
  threads_[lane]->operands = operands;
  if (gate.arrived < count)
    return wait();
  gate.arrived = 0;
  const int first = warp * warp_size;
  if (what == emu::WarpOperation::barrier) {
    // Running out of numbers, the whole block starts an interval: races may hide, none appear.
    if (++warp_intervals_[warp] == emu::most_warp_intervals)
      start_interval();
    take_turn(lane);
  } else {
    void* all[warp_size];
    for (int i = 0; i < warp_size; ++i)
      all[i] = threads_[first + i]->operands;
    netc::warp_operation(what, all);
  }
  wake_others(first, first + count);
}

void EmulatedBlock::report_deadlock() {
  // Nobody can go on: somebody waits for threads that have ended or wait elsewhere.
  int waiting = 0;
  while (threads_[waiting]->waits == nullptr)
    ++waiting;
  const Gate* gate = threads_[waiting]->waits;
  const bool in_block = gate == &block_gate_;
  const int first = in_block ? 0 : waiting / warp_size * warp_size;
  const int last = in_block ? lanes : first + warp_threads(waiting / warp_size);
  int missing = first;
  while (missing + 1 < last && threads_[missing]->waits == gate)
    ++missing;
  const Thread& thread = *threads_[missing];
  Other other{.thread = missing, .ended = thread.ended};
  if (thread.waits != nullptr)
    other.place = thread.waits->place;
  take_turn(waiting);
  stop({emu::Fault::divergence, nullptr, 0, 0, false, gate->place, other});
}

} // namespace netc
