#pragma once
// Runs a piece of a test in a child process that may be killed, limited or may exit.

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

namespace netc {

/// Forks; the child runs `body` and leaves with its result, or 99 after an exception.
inline pid_t start_child(const std::function<int()>& body) {
  pid_t child = ::fork();
  if (child != 0)
    return child;
  int code = 99;
  try {
    code = body();
  } catch (...) {
  }
  ::_exit(code);
}

/// Waits; the exit code of the child, or minus the signal that ended it.
inline int finish_child(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

inline int run_child(const std::function<int()>& body) {
  return finish_child(start_child(body));
}

} // namespace netc
