#include "runtime/data/files.h"

#include "ir/support/diagnostics.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

#include <zlib.h>

namespace netc::data {

namespace fs = std::filesystem;

namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

struct CloseGzip {
  void operator()(gzFile file) const { gzclose(file); }
};

std::string system_error(int code) {
  return std::strerror(code);
}

} // namespace

std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 32 || c == 127)
      c = '?';
  return out;
}

bool read_file(const std::string& path, std::vector<uint8_t>& bytes, std::string& why) {
  std::error_code code;
  const fs::file_status status = fs::status(path, code);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    why = "not a regular file";
    return false;
  }
  File file(std::fopen(path.c_str(), "rb"));
  if (!file) {
    why = system_error(errno);
    return false;
  }
  const uintmax_t size = fs::file_size(path, code);
  bytes.resize(code ? 0 : static_cast<size_t>(size));
  const size_t got = std::fread(bytes.data(), 1, bytes.size(), file.get());
  if (std::ferror(file.get())) {
    why = system_error(errno);
    return false;
  }
  bytes.resize(got); // Shorter when somebody cut the file meanwhile.
  return true;
}

bool read_gzip(const std::string& path, std::vector<uint8_t>& bytes, std::string& why) {
  std::unique_ptr<gzFile_s, CloseGzip> file(gzopen(path.c_str(), "rb"));
  if (!file) {
    why = system_error(errno);
    return false;
  }
  bytes.clear();
  std::vector<uint8_t> block(1 << 20);
  for (;;) {
    const int got = gzread(file.get(), block.data(), static_cast<unsigned>(block.size()));
    if (got > 0)
      bytes.insert(bytes.end(), block.begin(), block.begin() + got);
    if (got == static_cast<int>(block.size()))
      continue;
    int code = Z_OK;
    const char* message = gzerror(file.get(), &code);
    if (code == Z_OK || code == Z_STREAM_END)
      return true;
    why = code == Z_BUF_ERROR ? "the gzip data ends too early"
          : code == Z_ERRNO   ? system_error(errno)
                              : fmt::format("damaged gzip data ({})", printable(message));
    return false;
  }
}

void write_file(const std::string& path, const std::vector<uint8_t>& bytes) {
  File file(std::fopen(path.c_str(), "wb"));
  const bool written = file &&
                       std::fwrite(bytes.data(), 1, bytes.size(), file.get()) == bytes.size() &&
                       std::fflush(file.get()) == 0;
  if (!written)
    throw RuntimeError(fmt::format("cannot write `{}`: {}", printable(path), system_error(errno)),
                       "check the free space and the rights of the folder");
}

void require_folder(const std::string& path) {
  std::error_code code;
  const fs::file_status status = fs::status(path, code);
  if (fs::is_directory(status))
    return;
  if (fs::exists(status))
    user_error(fmt::format("`{}` is a file, not a folder", printable(path)));
  if (code && code != std::errc::no_such_file_or_directory && code != std::errc::not_a_directory)
    user_error(fmt::format("cannot read folder `{}`: {}", printable(path), code.message()));

  fs::path trimmed(path);
  if (!trimmed.has_filename())
    trimmed = trimmed.parent_path();
  const fs::path parent = trimmed.has_parent_path() ? trimmed.parent_path() : fs::path(".");
  std::string similar;
  if (fs::is_directory(parent, code))
    similar = did_you_mean(trimmed.filename().string(), list_folder(parent.string()).folders);
  user_error(fmt::format("folder `{}` does not exist{}", printable(path), printable(similar)));
}

bool has_image_suffix(std::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot == name.npos)
    return false;
  std::string suffix(name.substr(dot + 1));
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return suffix == "jpg" || suffix == "jpeg" || suffix == "jpe" || suffix == "jfif" ||
         suffix == "png";
}

FolderContent list_folder(const std::string& path) {
  FolderContent content;
  std::error_code code;
  for (fs::directory_iterator it(path, code), end; !code && it != end; it.increment(code)) {
    std::string name = it->path().filename().string();
    if (name.empty() || name[0] == '.')
      continue;
    std::error_code ignored; // A dangling link is neither a folder nor a file.
    if (it->is_directory(ignored))
      content.folders.push_back(std::move(name));
    else if (it->is_regular_file(ignored))
      content.files.push_back(std::move(name));
  }
  if (code)
    user_error(fmt::format("cannot read folder `{}`: {}", printable(path), code.message()));
  std::sort(content.folders.begin(), content.folders.end());
  std::sort(content.files.begin(), content.files.end());
  return content;
}

std::string first_three(const std::vector<std::string>& names, int64_t total) {
  std::string out;
  const size_t shown = std::min<size_t>(names.size(), 3);
  for (size_t i = 0; i < shown; ++i)
    out += fmt::format("{}`{}`", i ? ", " : "", printable(names[i]));
  const int64_t more = total - static_cast<int64_t>(shown);
  return more > 0 ? fmt::format("{} and {} more", out, more) : out;
}

} // namespace netc::data
