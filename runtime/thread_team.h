#pragma once
// The threads that execute kernels together: started once, pinned, parked between runs.

#include "ir/kernel_abi.h"

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

namespace netc {

/// The cores this process may use.
std::vector<int> usable_cores();

/// How often to look before going to sleep: kernels are short, and waking up takes microseconds.
inline constexpr int patient_polls = 4000;

/// Returns once `value` is no longer `old`. With more threads than cores, sleep early.
void wait_for_change(const std::atomic<unsigned>& value, unsigned old, int polls = patient_polls);

/// A team of `count` threads; the calling thread is member 0, the others wait until run() is
/// called. Not copyable; run() is for one caller at a time.
class ThreadTeam {
public:
  /// `pin`: member i runs on core i of those this process may use, if there are enough; the caller
  /// is pinned during run() only. Throws RuntimeError when the threads cannot be started.
  explicit ThreadTeam(int count, bool pin = true);
  /// Member i runs on cores[i]; anywhere if these are too few. Looks `polls` times before it
  /// sleeps.
  ThreadTeam(int count, std::vector<int> cores, int polls = patient_polls);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int count() const { return count_; }
  /// Calls work(thread) on every member at once and returns when all are done. `work` must not
  /// throw.
  void run(const std::function<void(const Thread&)>& work);

private:
  void member(int index);
  void stop(); ///< Ends the members that have been started.
  static void wait(const Thread& thread);
  void barrier();
  void pin_to(int index) const;

  int count_;
  std::vector<int> cores_; ///< Empty: not pinned.
  int polls_;
  std::vector<std::thread> threads_;
  const std::function<void(const Thread&)>* work_ = nullptr;
  std::atomic<unsigned> generation_{0}; ///< Counts runs; members wait for it to change.
  std::atomic<bool> stop_{false};
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<unsigned> phase_{0}; ///< Counts barriers.
};

} // namespace netc
