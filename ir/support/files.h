#pragma once
// Whole files as text.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace netc {

/// All bytes of a file; nothing when it cannot be read, as a folder cannot.
std::optional<std::string> read_text(const std::filesystem::path& path);

/// Writes a file, replacing what is there; RuntimeError with the system's reason and `hint` when
/// that fails. It is not safe against interruptions: write to a temporary name where that matters.
void write_text(const std::filesystem::path& path, std::string_view text,
                const std::string& hint = "is there room on the disk, and may you write there?");

/// A name in `folder` that no other thread or process uses.
std::filesystem::path temporary_name(const std::filesystem::path& folder,
                                     const std::string& suffix);

} // namespace netc
