#pragma once
// Where the public test data lies; unpacks it once when only the archives are there.

#include "tests/support/places.h"

#include <cstdlib>
#include <fcntl.h>
#include <optional>
#include <string>
#include <sys/file.h>
#include <unistd.h>

namespace netc::test {

inline constexpr const char* no_test_data = "skipped: no test data";

namespace detail {

inline bool has_test_data(const std::filesystem::path& folder) {
  std::error_code code;
  return std::filesystem::is_directory(folder / "odd-images", code) &&
         std::filesystem::is_directory(folder / "mnist", code);
}

inline std::string shell_quoted(const std::string& text) {
  std::string out = "'";
  for (char c : text)
    out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

/// Runs unpack.sh into the build folder; tests that start at the same time wait for the first.
inline std::optional<std::filesystem::path> unpack(const std::filesystem::path& script) {
  const std::filesystem::path folder = binary_root() / "netc-data";
  const std::string lock_name = folder.string() + ".lock";
  const int lock = ::open(lock_name.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  if (lock < 0 || ::flock(lock, LOCK_EX) != 0)
    return std::nullopt;
  const std::string command =
      "sh " + shell_quoted(script.string()) + " " + shell_quoted(folder.string()) + " >/dev/null";
  const bool ok = std::system(command.c_str()) == 0;
  ::close(lock); // Unlocks.
  return ok && has_test_data(folder) ? std::optional(folder) : std::nullopt;
}

inline std::optional<std::filesystem::path> find_test_data() {
  const std::filesystem::path& source = source_root();
  for (const auto& folder : {source / "netc-data", source.parent_path() / "netc-data"})
    if (has_test_data(folder))
      return folder;
  const std::filesystem::path script = source.parent_path() / "shared/data/unpack.sh";
  std::error_code code;
  return std::filesystem::exists(script, code) ? unpack(script) : std::nullopt;
}

} // namespace detail

/// The folder of the unpacked test data, or nothing; a test then says
/// `GTEST_SKIP() << no_test_data`. Looks once in a process.
inline const std::optional<std::filesystem::path>& test_data_folder() {
  static const std::optional<std::filesystem::path> folder = detail::find_test_data();
  return folder;
}

} // namespace netc::test
