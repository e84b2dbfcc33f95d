#pragma once
// Where a test's files lie. Both folders are found from the running program, so that a copy of the
// tree works at another path and on another machine.
// NETC_SOURCE_DIR, for a build folder outside the source tree, comes from CMake.

#include <filesystem>

namespace netc::test {

/// The build folder, which holds the program's `bin/`; tests write below it.
inline const std::filesystem::path& binary_root() {
  static const std::filesystem::path root =
      std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
  return root;
}

/// The root of the source tree; golden files and models are named relative to it.
inline const std::filesystem::path& source_root() {
  static const std::filesystem::path root = [] {
    for (std::filesystem::path folder = binary_root(); folder != folder.root_path();
         folder = folder.parent_path())
      if (std::filesystem::exists(folder / "tests/support/places.h"))
        return folder;
    return std::filesystem::path(NETC_SOURCE_DIR);
  }();
  return root;
}

} // namespace netc::test
