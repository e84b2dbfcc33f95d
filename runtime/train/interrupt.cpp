#include "runtime/train/interrupt.h"

#include "ir/support/error.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string_view>

namespace netc {

namespace {

// A handler reaches its state through globals only; both are lock-free, hence async-signal-safe.
std::atomic<int> first_signal = 0;
std::atomic<bool> announced = false;
std::atomic<bool> guarded = false;
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

constexpr int exit_interrupted = 130; // 128 + SIGINT, as shells report it.

void handle(int signal) {
  int none = 0;
  if (!first_signal.compare_exchange_strong(none, signal))
    ::_exit(exit_interrupted);
  if (!announced)
    return;
  int saved = errno;
  constexpr std::string_view text =
      "\nstopping after this step; once more to quit at once without a checkpoint\n";
  (void)!::write(STDERR_FILENO, text.data(), text.size());
  errno = saved;
}

void install(int signal, struct sigaction& former) {
  ::sigaction(signal, nullptr, &former);
  if (former.sa_handler == SIG_IGN)
    return;
  struct sigaction action = {};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART; // Writing files must not fail because of a signal.
  sigemptyset(&action.sa_mask);
  ::sigaction(signal, &action, nullptr);
}

} // namespace

InterruptGuard::InterruptGuard(bool announce) {
  NETC_CHECK(!guarded.exchange(true), "two interrupt guards at a time");
  first_signal = 0;
  announced = announce;
  install(SIGINT, former_int_);
  install(SIGTERM, former_term_);
}

InterruptGuard::~InterruptGuard() {
  ::sigaction(SIGINT, &former_int_, nullptr);
  ::sigaction(SIGTERM, &former_term_, nullptr);
  guarded = false;
}

int InterruptGuard::signal() const {
  return first_signal;
}

} // namespace netc
