#pragma once
// Stopping a run by ctrl-C (SIGINT) or SIGTERM.

#include <csignal>

namespace netc {

/// While it lives, the first SIGINT or SIGTERM only sets a flag, so that the loop can finish its
/// step, write a checkpoint and leave; the second ends the process at once with exit code 130.
/// A signal that was ignored (`nohup`, background jobs of scripts) stays ignored. One at a time.
class InterruptGuard {
public:
  /// With `announce`, the first signal prints on stderr at once that the step is being finished.
  explicit InterruptGuard(bool announce = true);
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  /// Restores the former handlers.
  ~InterruptGuard();

  /// Whether a signal has arrived. Callable from any thread.
  bool requested() const { return signal() != 0; }
  /// The number of the first signal, or 0.
  int signal() const;

private:
  struct sigaction former_int_ = {};
  struct sigaction former_term_ = {};
};

} // namespace netc
