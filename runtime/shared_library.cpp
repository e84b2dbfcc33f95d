#include "runtime/shared_library.h"

#include "ir/support/error.h"

#include <dlfcn.h>

namespace netc {

SharedLibrary::SharedLibrary(const std::filesystem::path& file)
    : file_(std::filesystem::absolute(file)),
      handle_(dlopen(file_.c_str(), RTLD_NOW | RTLD_LOCAL)) {
  if (!handle_)
    throw RuntimeError(
        fmt::format("kernel `{}` cannot be loaded: {}", file_.stem().string(), dlerror()),
        "compile the network again");
}

SharedLibrary SharedLibrary::first_of(const std::vector<std::string>& names) {
  std::string problem;
  for (const std::string& name : names) {
    if (void* handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE))
      return {name, handle};
    // Of one that is there and cannot be loaded the user wants to know before those that are not.
    const std::string error = dlerror();
    if (problem.empty() || problem.ends_with("No such file or directory"))
      problem = error;
  }
  throw RuntimeError(problem);
}

SharedLibrary::~SharedLibrary() {
  if (handle_)
    dlclose(handle_);
}

void* SharedLibrary::symbol(const std::string& name) const {
  void* found = dlsym(handle_, name.c_str());
  if (!found)
    throw RuntimeError(fmt::format("`{}` holds no `{}`", file_.string(), name),
                       "compile the network again");
  return found;
}

} // namespace netc
