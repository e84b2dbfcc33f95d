#include "runtime/atomic_file.h"

#include "ir/support/diagnostics.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>

namespace netc {

namespace fs = std::filesystem;

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0)
    ::close(fd_);
}

std::string errno_text(int code) {
  std::string text = std::generic_category().message(code);
  if (text.size() > 1 && text[0] >= 'A' && text[0] <= 'Z' && !(text[1] >= 'A' && text[1] <= 'Z'))
    text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return text;
}

std::string printable(std::string_view text, size_t longest) {
  std::string out(text.substr(0, longest));
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 32 || c == 127)
      c = '?';
  if (text.size() > longest) {
    while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xC0) == 0x80)
      out.pop_back(); // Never cut inside a UTF-8 sequence.
    if (!out.empty() && static_cast<unsigned char>(out.back()) >= 0xC0)
      out.pop_back();
    out += "...";
  }
  return out;
}

namespace {

/// What the user can try; empty when the text of the code says it all.
std::string hint_for(int code) {
  switch (code) {
  case ENOSPC:
  case EDQUOT:
    return "free some space on that disk, or choose another folder";
  case EFBIG:
    return "raise the limit on the size of files (`ulimit -f`), or choose another file system";
  case EACCES:
  case EPERM:
    return "check who owns the file and its folder, or choose another folder";
  case EROFS:
    return "that file system is read-only; choose another folder";
  case ENOENT:
  case ENOTDIR:
    return "check the path; the folder of a new file must exist";
  case EMFILE:
  case ENFILE:
    return "raise the limit on open files (`ulimit -n`)";
  case EIO:
    return "the disk reports an error; look at the system log and save what can be saved";
  default:
    return {};
  }
}

bool users_fault(int code) {
  for (int known : {ENOENT, ENOTDIR, EACCES, EPERM, EISDIR, ELOOP, ENAMETOOLONG, EROFS})
    if (code == known)
      return true;
  return false;
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

/// Forces a descriptor to disk; 0 also where the file system has no such operation.
int sync_descriptor(const FileDescriptor& file) {
  while (::fsync(file.get()) != 0) {
    if (errno == EINVAL || errno == ENOTSUP)
      return 0;
    if (errno != EINTR)
      return errno;
  }
  return 0;
}

constexpr std::string_view temporary_infix = ".tmp-";

} // namespace

void throw_file_error(std::string_view action, const fs::path& path, int code) {
  std::string message =
      fmt::format("cannot {} `{}`: {}", action, printable(path.string()), errno_text(code));
  if (users_fault(code))
    user_error(message, hint_for(code));
  throw RuntimeError(fmt::format("{} (errno {})", message, code), hint_for(code));
}

FileDescriptor open_for_reading(const fs::path& path, int64_t& size) {
  // Without O_NONBLOCK opening a pipe would wait for its writer.
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid())
    throw_file_error("read", path, errno);
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0)
    throw_file_error("read", path, errno);
  if (S_ISDIR(status.st_mode))
    throw_file_error("read", path, EISDIR);
  if (!S_ISREG(status.st_mode))
    user_error(fmt::format("cannot read `{}`: not a regular file", printable(path.string())));
  size = status.st_size;
  return file;
}

void read_exactly(const FileDescriptor& file, const fs::path& path, int64_t offset, void* out,
                  size_t bytes) {
  char* to = static_cast<char*>(out);
  while (bytes > 0) {
    ssize_t got = ::pread(file.get(), to, bytes, offset);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      throw_file_error("read", path, errno);
    if (got == 0)
      throw RuntimeError(
          fmt::format("cannot read `{}`: it ends at byte {}", printable(path.string()), offset),
          "something shortened the file while it was in use; try again");
    to += got;
    offset += got;
    bytes -= static_cast<size_t>(got);
  }
}

int write_all(const FileDescriptor& file, const void* data, size_t bytes) {
  const char* from = static_cast<const char*>(data);
  while (bytes > 0) {
    ssize_t put = ::write(file.get(), from, bytes);
    if (put < 0 && errno == EINTR)
      continue;
    if (put <= 0)
      return put < 0 ? errno : ENOSPC;
    from += put;
    bytes -= static_cast<size_t>(put);
  }
  return 0;
}

void sync_folder(const fs::path& folder) {
  FileDescriptor handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  int code = handle.valid() ? sync_descriptor(handle) : errno;
  if (code != 0)
    throw_file_error("write", folder, code);
}

std::string read_file(const fs::path& path) {
  int64_t size = 0;
  FileDescriptor file = open_for_reading(path, size);
  std::string content(static_cast<size_t>(size), '\0');
  read_exactly(file, path, 0, content.data(), content.size());
  return content;
}

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)) {
  static std::atomic<unsigned> count = 0;
  int code = EEXIST;
  while (code == EEXIST) { // Left by a killed process of the same id, e.g. in another container.
    temporary_ = path_;
    temporary_ += fmt::format("{}{}-{}", temporary_infix, ::getpid(), count++);
    file_ =
        FileDescriptor(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    code = file_.valid() ? 0 : errno;
  }
  if (code != 0) {
    temporary_.clear();
    throw_file_error("write", path_, code);
  }
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty())
    ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t bytes) {
  NETC_CHECK(file_.valid(), "write to the committed file `{}`", path_.string());
  if (int code = write_all(file_, data, bytes); code != 0)
    throw_file_error("write", path_, code);
}

void AtomicFile::commit() {
  NETC_CHECK(file_.valid(), "second commit of `{}`", path_.string());
  if (int code = sync_descriptor(file_); code != 0)
    throw_file_error("write", path_, code);
  if (::close(file_.release()) != 0 && errno != EINTR) // Network disks report a full disk here.
    throw_file_error("write", path_, errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0)
    throw_file_error("write", path_, errno);
  temporary_.clear();
  sync_folder(folder_of(path_));
}

void write_file_atomically(const fs::path& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

void replace_folder(const fs::path& next, const fs::path& folder, const fs::path& former) {
  std::error_code error, ignored;
  fs::rename(folder, former, error);
  if (error)
    throw_file_error("replace", folder, error.value());
  fs::rename(next, folder, error);
  if (error) {
    fs::rename(former, folder, ignored);
    throw_file_error("replace", folder, error.value());
  }
  fs::remove_all(former, ignored);
}

bool is_temporary_of(std::string_view name, std::string_view target) {
  if (!name.starts_with(target) || !name.substr(target.size()).starts_with(temporary_infix))
    return false;
  std::string_view rest = name.substr(target.size() + temporary_infix.size());
  return !rest.empty() && rest.find_first_not_of("0123456789-") == rest.npos;
}

} // namespace netc
