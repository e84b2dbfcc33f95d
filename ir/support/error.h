#pragma once
// The two failures that are not the user's fault: netc's own (InternalError) and the machine's
// (RuntimeError). The user's mistakes are reported through Diagnostics.

#include <fmt/format.h>

#include <stdexcept>
#include <string>

namespace netc {

/// A broken invariant of netc itself; the command exits with 2.
class InternalError : public std::logic_error {
public:
  using std::logic_error::logic_error;
};

/// Device, disk, compiler or peer failed: what failed, its code, and what to try; exit code 3.
class RuntimeError : public std::runtime_error {
public:
  explicit RuntimeError(const std::string& what, std::string hint = {})
      : std::runtime_error(what), hint_(std::move(hint)) {}
  /// What the user can try; may be empty.
  const std::string& hint() const { return hint_; }

private:
  std::string hint_;
};

/// The user's mistake, already rendered by Diagnostics (`what()` holds the full text); exit code 1.
class UserError : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// Throws InternalError; the cold half of NETC_CHECK.
[[noreturn]] void internal_error(const char* file, int line, const std::string& message);

} // namespace netc

/// Checks an invariant of netc; the format string and its arguments are evaluated on failure only.
#define NETC_CHECK(condition, ...)                                                                 \
  do {                                                                                             \
    if (!(condition))                                                                              \
      ::netc::internal_error(__FILE__, __LINE__, fmt::format(__VA_ARGS__));                        \
  } while (false)
