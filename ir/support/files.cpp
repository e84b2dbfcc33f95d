#include "ir/support/files.h"

#include "ir/support/error.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace netc {

std::optional<std::string> read_text(const std::filesystem::path& path) {
  std::error_code unknown; // then opening fails, too
  if (std::filesystem::is_directory(path, unknown))
    return std::nullopt; // a folder opens, and reads as an empty file does
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in || text.bad())
    return std::nullopt;
  return text.str();
}

void write_text(const std::filesystem::path& path, std::string_view text, const std::string& hint) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  if (!out)
    throw RuntimeError(fmt::format("writing `{}` failed: {}", path.string(), std::strerror(errno)),
                       hint);
}

std::filesystem::path temporary_name(const std::filesystem::path& folder,
                                     const std::string& suffix) {
  static std::atomic<int> counter{0};
  return folder / fmt::format("tmp-{}-{}{}", getpid(), counter++, suffix);
}

} // namespace netc
