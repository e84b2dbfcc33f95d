#pragma once
// The folder of a run: `runs/<net>-<n>/`.

#include "runtime/atomic_file.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace netc {

/// A run folder held by this process: a lock on the folder (gone with the process) keeps a second
/// process from training in it. Moving keeps the lock.
class RunDirectory {
public:
  /// Creates `<root>/<net>-<n>` with the number after the highest one there, 1 in an empty root;
  /// `root` is created when missing. Two processes never get the same folder.
  static RunDirectory create(const std::filesystem::path& root, std::string_view net);

  /// Creates exactly `path` (`--run DIR`), its parents included, or takes it when it is empty.
  /// UserError asking for `--resume` when something is in it already.
  static RunDirectory create_at(const std::filesystem::path& path);

  /// Opens an existing run (`--run DIR --resume`). UserError when there is none, or when another
  /// process trains in it.
  static RunDirectory resume(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path file(std::string_view name) const { return path_ / name; }
  bool has(std::string_view name) const;

  /// Reads or replaces (in one step) a small file of the run.
  std::string read(std::string_view name) const { return read_file(file(name)); }
  void write(std::string_view name, std::string_view content) const {
    write_file_atomically(file(name), content);
  }

  /// Removes the folder with all that is in it: a new run that never began.
  void discard() const noexcept;

  /// The command that continues this run: `netc train NET --run DIR --resume`, quoted for a shell.
  std::string resume_command(std::string_view net) const;

private:
  explicit RunDirectory(std::filesystem::path path);

  std::filesystem::path path_;
  FileDescriptor lock_;
};

/// The run of the network with the highest number below `root` that has a checkpoint; where none
/// has, the one with the highest number, or nothing.
std::optional<std::filesystem::path> latest_run(const std::filesystem::path& root,
                                                std::string_view net);

} // namespace netc
