#pragma once
// Reading files and folders with errors that name them: internal to runtime/data.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace netc::data {

/// `text` fit for a one-line message: control bytes become '?'.
std::string printable(std::string_view text);

/// Reads a whole file; false with the reason in `why`.
bool read_file(const std::string& path, std::vector<uint8_t>& bytes, std::string& why);

/// Reads a whole file, through gzip where it is compressed; false with the reason in `why`.
bool read_gzip(const std::string& path, std::vector<uint8_t>& bytes, std::string& why);

/// Writes a file or throws RuntimeError.
void write_file(const std::string& path, const std::vector<uint8_t>& bytes);

/// Throws UserError unless `path` is a folder, with a similar name nearby as hint.
void require_folder(const std::string& path);

/// Whether a file's name ends like an image's: .jpg .jpeg .jpe .jfif .png, in any case.
bool has_image_suffix(std::string_view name);

/// What a folder holds, sorted by bytes; names that begin with a dot are left out.
struct FolderContent {
  std::vector<std::string> folders;
  std::vector<std::string> files; ///< Regular files.
};
/// Symbolic links count as what they lead to. Throws UserError when the folder cannot be read.
FolderContent list_folder(const std::string& path);

/// `a, b, c` of the first three, and ` and N more`; each in backticks.
std::string first_three(const std::vector<std::string>& names, int64_t total);

} // namespace netc::data
