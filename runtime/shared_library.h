#pragma once
// A shared object with a kernel in it.

#include <filesystem>
#include <string>

namespace netc {

/// An open shared object, closed with this object. Moves, does not copy.
class SharedLibrary {
public:
  /// Throws RuntimeError with the system's reason.
  explicit SharedLibrary(const std::filesystem::path& file);
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
  void* symbol(const std::string& name) const;
  std::filesystem::path file_;
  void* handle_ = nullptr;
};

} // namespace netc
