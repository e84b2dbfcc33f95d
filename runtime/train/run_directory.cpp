#include "runtime/train/run_directory.h"

#include "ir/support/diagnostics.h"
#include "runtime/train/checkpoint.h"
#include "runtime/train/numbers.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace netc {

namespace fs = std::filesystem;

namespace {

/// The network's name as part of a folder's name: only letters, digits, `_`, `.` and `-`, no dot or
/// dash in front.
std::string folder_name(std::string_view net) {
  std::string name(net.empty() ? "net" : net);
  for (char& c : name) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!plain && c != '.' && c != '-')
      c = '_';
  }
  if (name[0] == '.' || name[0] == '-')
    name[0] = '_';
  return name;
}

/// The highest n of `<net>-<n>` below root that `accept`s its path; 0 when there is none.
template <typename Accept>
int64_t highest_number(const fs::path& root, std::string_view net, Accept accept) {
  std::string prefix = folder_name(net) + "-";
  int64_t highest = 0;
  std::error_code code;
  for (fs::directory_iterator at(root, code), end; !code && at != end; at.increment(code)) {
    std::string name = at->path().filename().string();
    if (!name.starts_with(prefix))
      continue;
    std::optional<int64_t> number = parse_int(std::string_view(name).substr(prefix.size()));
    if (number && *number > 0 && name == fmt::format("{}{}", prefix, *number) && accept(at->path()))
      highest = std::max(highest, *number);
  }
  if (code && code != std::errc::no_such_file_or_directory)
    throw_file_error("list", root, code.value());
  return highest;
}

/// Creates one folder; false when something of that name is there.
bool make_folder(const fs::path& path) {
  if (::mkdir(path.c_str(), 0777) == 0)
    return true;
  if (errno != EEXIST)
    throw_file_error("create", path, errno);
  return false;
}

void make_folders(const fs::path& path) {
  std::error_code code;
  if (!path.empty() && !fs::create_directories(path, code) && code)
    throw_file_error("create", path, code.value());
}

/// `text` as one word of a shell command.
std::string shell_word(const std::string& text) {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789_-+=./,:@%";
  if (!text.empty() && text.find_first_not_of(plain) == text.npos)
    return text;
  std::string quoted = "'";
  for (char c : text)
    quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

} // namespace

RunDirectory::RunDirectory(fs::path path) : path_(std::move(path)) {
  lock_ = FileDescriptor(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock_.valid())
    throw_file_error("open", path_, errno);
  // File systems without locks are used without; only a held lock is an error.
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    user_error(fmt::format("another process trains in `{}`", printable(path_.string())),
               "wait for it or stop it, or train in another run folder");
}

RunDirectory RunDirectory::create(const fs::path& root, std::string_view net) {
  make_folders(root);
  int64_t number = highest_number(root, net, [](const fs::path&) { return true; });
  fs::path path;
  do
    path = root / fmt::format("{}-{}", folder_name(net), ++number);
  while (!make_folder(path));
  return RunDirectory(path);
}

RunDirectory RunDirectory::create_at(const fs::path& path) {
  fs::path folder = path.has_filename() ? path : path.parent_path(); // `--run DIR/`.
  make_folders(folder.parent_path());
  make_folder(folder);
  RunDirectory run(folder); // Locked first: of two processes one sees the other's lock or files.
  std::error_code code;
  bool empty = fs::is_empty(folder, code);
  if (code)
    throw_file_error("list", folder, code.value());
  if (!empty)
    user_error(fmt::format("the run folder `{}` is not empty", printable(folder.string())),
               "continue its run with `--resume`, or name a new folder");
  return run;
}

RunDirectory RunDirectory::resume(const fs::path& path) {
  std::error_code code;
  if (!fs::is_directory(path, code))
    user_error(fmt::format("there is no run folder `{}`", printable(path.string())),
               "start one by leaving out `--resume`, or check the path given to `--run`");
  return RunDirectory(path);
}

bool RunDirectory::has(std::string_view name) const {
  std::error_code code;
  return fs::exists(file(name), code);
}

void RunDirectory::discard() const noexcept {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string RunDirectory::resume_command(std::string_view net) const {
  return fmt::format("netc train {} --run {} --resume", shell_word(std::string(net)),
                     shell_word(path_.string()));
}

std::optional<fs::path> latest_run(const fs::path& root, std::string_view net) {
  auto is_folder = [](const fs::path& path) {
    std::error_code code;
    return fs::is_directory(path, code);
  };
  int64_t number = highest_number(root, net, [&](const fs::path& path) {
    return is_folder(path) && !list_checkpoints(path).empty();
  });
  if (number == 0)
    number = highest_number(root, net, is_folder);
  if (number == 0)
    return std::nullopt;
  return root / fmt::format("{}-{}", folder_name(net), number);
}

} // namespace netc
