#pragma once
// Shared objects: those with a kernel in them, and libraries of the system that may be there.

#include <filesystem>
#include <string>
#include <vector>

namespace netc {

/// An open shared object, closed with this object. Moves, does not copy.
class SharedLibrary {
public:
  /// Opens a kernel's. Throws RuntimeError with the system's reason.
  explicit SharedLibrary(const std::filesystem::path& file);
  /// Opens the first of these that is there; a name without a folder is looked for where the system
  /// has its libraries. It stays loaded: large libraries do not go well, and come back slowly.
  /// Throws RuntimeError, with the system's reason for the last.
  static SharedLibrary first_of(const std::vector<std::string>& names);
  ~SharedLibrary();
  SharedLibrary(SharedLibrary&& other) noexcept : file_(std::move(other.file_)) {
    std::swap(handle_, other.handle_);
  }
  SharedLibrary& operator=(SharedLibrary&&) = delete;

  /// The function of that name; RuntimeError when there is none.
  template <class Function> Function function(const std::string& name) const {
    return reinterpret_cast<Function>(symbol(name));
  }

private:
  SharedLibrary(std::filesystem::path file, void* handle)
      : file_(std::move(file)), handle_(handle) {}
  void* symbol(const std::string& name) const;
  std::filesystem::path file_;
  void* handle_ = nullptr;
};

} // namespace netc
