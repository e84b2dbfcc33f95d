#include "runtime/thread_team.h"

#include "ir/support/error.h"

#include <pthread.h>
#include <sched.h>

#include <system_error>

namespace netc {

namespace {

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/// The cores for a team; none where one thread may as well go where the system likes.
std::vector<int> cores_of_process(int count, bool pin) {
  return pin && count > 1 ? usable_cores() : std::vector<int>{};
}

} // namespace

void wait_for_change(const std::atomic<unsigned>& value, unsigned old, int polls) {
  for (int i = 0; i < polls; ++i) {
    if (value.load(std::memory_order_acquire) != old)
      return;
    relax();
  }
  value.wait(old, std::memory_order_acquire);
}

std::vector<int> usable_cores() {
  std::vector<int> cores;
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int core = 0; core < CPU_SETSIZE; ++core)
      if (CPU_ISSET(core, &set))
        cores.push_back(core);
  return cores;
}

ThreadTeam::ThreadTeam(int count, bool pin) : ThreadTeam(count, cores_of_process(count, pin)) {}

ThreadTeam::ThreadTeam(int count, std::vector<int> cores, int polls)
    : count_(count), cores_(std::move(cores)), polls_(polls) {
  if (static_cast<int>(cores_.size()) < count)
    cores_.clear();
  try {
    for (int i = 1; i < count; ++i)
      threads_.emplace_back([this, i] { member(i); });
  } catch (const std::system_error& error) {
    stop();
    throw RuntimeError(fmt::format("{} threads cannot be started: {}", count, error.what()),
                       "`--threads N` asks for fewer");
  }
}

ThreadTeam::~ThreadTeam() {
  stop();
}

void ThreadTeam::stop() {
  stop_ = true;
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  for (std::thread& thread : threads_)
    thread.join();
}

void ThreadTeam::pin_to(int index) const {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cores_[static_cast<size_t>(index)], &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

void ThreadTeam::wait(const Thread& thread) {
  static_cast<ThreadTeam*>(thread.team)->barrier();
}

void ThreadTeam::barrier() {
  if (count_ == 1)
    return;
  unsigned phase = phase_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == count_) {
    arrived_.store(0, std::memory_order_relaxed);
    phase_.store(phase + 1, std::memory_order_release);
    phase_.notify_all();
  } else {
    wait_for_change(phase_, phase, polls_);
  }
}

void ThreadTeam::member(int index) {
  if (!cores_.empty())
    pin_to(index);
  unsigned seen = 0;
  for (;;) {
    wait_for_change(generation_, seen, polls_);
    seen = generation_.load(std::memory_order_acquire);
    if (stop_)
      return;
    (*work_)(Thread{index, count_, this, &ThreadTeam::wait});
    barrier();
  }
}

void ThreadTeam::run(const std::function<void(const Thread&)>& work) {
  cpu_set_t before;
  bool pinned =
      !cores_.empty() && pthread_getaffinity_np(pthread_self(), sizeof before, &before) == 0;
  if (pinned)
    pin_to(0);
  work_ = &work;
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  work(Thread{0, count_, this, &ThreadTeam::wait});
  barrier();
  if (pinned)
    pthread_setaffinity_np(pthread_self(), sizeof before, &before);
}

} // namespace netc
