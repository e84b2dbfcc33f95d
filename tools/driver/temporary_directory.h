#pragma once

#include "ir/support/error.h"

#include <filesystem>
#include <string>
#include <unistd.h>

namespace netc {

/// A folder among the system's temporary ones, which goes with the object and all that is in it.
class TemporaryDirectory {
public:
  /// `name` begins its name. Throws RuntimeError when none can be made.
  explicit TemporaryDirectory(const std::string& name) {
    const std::filesystem::path parent = std::filesystem::temp_directory_path();
    std::string pattern = (parent / (name + "-XXXXXX")).string();
    if (!mkdtemp(pattern.data()))
      throw RuntimeError(fmt::format("no folder can be made in `{}`", parent.string()));
    path_ = pattern;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

private:
  std::filesystem::path path_;
};

} // namespace netc
