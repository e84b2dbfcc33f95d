#pragma once
// The block of threads that an Emulator runs: each a fibre, one at a time, changing hands where
// threads wait for each other.

#include "ir/emulator_abi.h"
#include "runtime/emu/emulator.h"
#include "runtime/emu/fibre.h"
#include "runtime/emu/warp.h"

#include <exception>
#include <memory>
#include <optional>
#include <vector>

namespace netc {

/// Runs one launch after the other. Faults are found on a thread's fibre, where nothing may be
/// thrown: they are noted in numbers and raised on the caller's stack, as is what the system
/// refuses. A fibre that does not run to its end is forgotten, so nothing on it may own memory.
class EmulatedBlock final : public emu::Machine {
public:
  /// Runs all blocks; throws EmulatorFault, or what the system refused (memory).
  void run(const EmulatorLaunch& launch);

  void barrier(emu::Place place) override;
  void warp_operation(emu::WarpOperation what, void* operands, emu::Place place) override;
  void copy_async(long offset, const unsigned char* from, int bytes, emu::Place place) override;
  void copy_commit() override;
  void copy_wait(int pending, emu::Place place) override;
  void read(emu::Region& region, emu::Cell& cell, emu::Place place) override;
  void write(emu::Region& region, emu::Cell& cell, emu::Place place) override;
  void refine(emu::Region& region) override;
  [[noreturn]] void fail(emu::Fault fault, const emu::Region* region, long offset, int bytes,
                         emu::Place place) override;

private:
  /// Where threads wait for each other.
  struct Gate {
    int arrived = 0;
    emu::Place place{0UL}; ///< Of those that have arrived, and what they do there.
    emu::WarpOperation what{};
    int first = 0; ///< The first of them.
  };
  /// An asynchronous copy to shared memory, of up to 16 bytes.
  struct Copy {
    long offset;
    int bytes;
    long group;
    unsigned char data[16];
  };
  struct Thread {
    Fibre fibre{};
    Gate* waits = nullptr;
    void* operands = nullptr;
    bool ended = false;
    std::vector<Copy> copies{};
    size_t first_copy = 0; ///< Those before are done.
    long groups = 0;       ///< Committed so far.
  };
  /// The other side of a fault.
  struct Other {
    emu::Stamp stamp = 0; ///< Of a race.
    int thread = -1;
    emu::Place place{0UL};
    bool ended = false;
  };
  struct Report {
    emu::Fault fault;
    const emu::Region* region;
    long offset;
    int bytes;
    bool writes;
    emu::Place place;
    std::optional<Other> other;
  };

  void prepare(const EmulatorLaunch& launch);
  void run_block();
  static void run_thread(void* self);
  [[noreturn]] void end_thread();

  // Turns.
  void take_turn(int thread);
  int next_ready();
  void wait();
  void wake_others(int first, int last);
  void arrive(Gate& gate, emu::WarpOperation what, emu::Place place);
  void start_interval();
  int warp_threads(int warp) const;
  [[noreturn]] void report_deadlock();

  // Memory.
  bool ordered(emu::Stamp before) const;
  void note_reader(const emu::Region& region, emu::Cell& cell, emu::Place place) const;
  [[noreturn]] void fail_at(emu::Fault fault, const emu::Region& region, const emu::Cell& cell,
                            bool writes, emu::Place place, const std::optional<Other>& other);
  [[noreturn]] void stop(const Report& report);
  [[noreturn]] void leave();
  template <class Function> void on_fibre(Function function);
  EmulatorFault describe(const EmulatorLaunch& launch) const;

  FibreStacks stacks_;
  Fibre caller_;
  std::vector<std::unique_ptr<Thread>> threads_; ///< At least as many as lanes.
  std::vector<int> ready_;                       ///< Ring of the threads that can go on.
  int ready_first_ = 0, ready_count_ = 0;
  int ended_ = 0;
  Gate block_gate_;
  std::vector<Gate> warp_gates_;
  std::vector<emu::Stamp> warp_intervals_;

  emu::EntryFunction function_ = nullptr;
  std::vector<emu::Region> regions_;
  Memory shared_memory_;
  std::unique_ptr<EmulatorShadow> shared_shadow_;
  std::vector<EmulatorShadow*> shadows_; ///< Of the regions.
  emu::Stamp interval_ = 1;              ///< Counts over all launches.
  emu::Stamp block_start_ = 0;
  std::vector<emu::Stamp> block_starts_; ///< Of this launch, by block.
  std::optional<Report> report_;
  std::exception_ptr failure_; ///< Caught on a fibre.
};

} // namespace netc
