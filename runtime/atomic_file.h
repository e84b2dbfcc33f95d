#pragma once
// Files that appear whole or not at all, and how failures of files are reported.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace netc {

/// Owns a POSIX file descriptor; -1 owns nothing.
class FileDescriptor {
public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor();

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  /// Gives up ownership.
  int release() { return std::exchange(fd_, -1); }

private:
  int fd_ = -1;
};

/// The system's words for an errno value, in the style of our messages: `no space left on device`.
std::string errno_text(int code);

/// `text` fit for a one-line message: control bytes become `?` and at most `longest` bytes are
/// kept.
std::string printable(std::string_view text, size_t longest = 200);

/// Throws for a failed operation on a file: "cannot `action` `path`: text of `code`".
/// A path that is missing, forbidden or of the wrong kind is a UserError, a disk that fails or is
/// full a RuntimeError; both say what to try.
[[noreturn]] void throw_file_error(std::string_view action, const std::filesystem::path& path,
                                   int code);

/// Opens a regular file for reading and reports its size in bytes. Throws as throw_file_error;
/// folders, pipes and devices are refused as well.
FileDescriptor open_for_reading(const std::filesystem::path& path, int64_t& size);

/// Reads exactly `bytes` bytes at `offset`. Throws RuntimeError when the file ends before.
void read_exactly(const FileDescriptor& file, const std::filesystem::path& path, int64_t offset,
                  void* out, size_t bytes);

/// Writes all bytes at the descriptor's position; returns 0, or the errno of the failure.
int write_all(const FileDescriptor& file, const void* data, size_t bytes);

/// Forces the entries of `folder` (created, renamed, removed) to disk.
void sync_folder(const std::filesystem::path& folder);

/// The whole content of a small file. Throws as throw_file_error.
std::string read_file(const std::filesystem::path& path);

/// Creates or replaces a file in one step: bytes go to `<name>.tmp-<pid>-<n>` in the same folder,
/// which commit() forces to disk and renames. Until then, and whenever anything fails, the old file
/// stays as it was; a temporary file is left behind only when the process is killed.
class AtomicFile {
public:
  /// Throws as throw_file_error when the temporary file cannot be created.
  explicit AtomicFile(std::filesystem::path path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  /// Removes the temporary file unless committed.
  ~AtomicFile();

  /// Appends bytes. Throws RuntimeError when the disk is full or fails.
  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }

  /// Puts the file in place, on disk when this returns. At most once; no write after it.
  void commit();

private:
  std::filesystem::path path_;
  std::filesystem::path temporary_; ///< Empty once renamed.
  FileDescriptor file_;
};

/// Creates or replaces a file of this content through AtomicFile.
void write_file_atomically(const std::filesystem::path& path, std::string_view content);

/// Puts the folder `next` in the place of `folder`, which stands at `former` meanwhile and is then
/// removed: whenever this is cut short, there is a whole folder in that place or none. Throws as
/// throw_file_error when it fails; `folder` is back in its place then.
void replace_folder(const std::filesystem::path& next, const std::filesystem::path& folder,
                    const std::filesystem::path& former);

/// Whether `name` is that of a temporary file of AtomicFile for a file named `target`.
bool is_temporary_of(std::string_view name, std::string_view target);

} // namespace netc
