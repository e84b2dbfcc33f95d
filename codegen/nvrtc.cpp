#include "codegen/nvrtc.h"

#include "codegen/toolchain.h"
#include "ir/support/error.h"
#include "ir/support/files.h"

#include <dlfcn.h>

#include <algorithm>
#include <sstream>
#include <utility>
#include <vector>

namespace netc {

namespace {

/// The results of NVRTC calls (nvrtc.h) that netc tells apart.
enum NvrtcResult { nvrtc_success = 0, nvrtc_compilation_failed = 6 };

/// nvrtcProgram: an opaque handle.
using NvrtcProgram = void*;

/// Closes what dlopen opened.
struct CloseLibrary {
  void operator()(void* handle) const { dlclose(handle); }
};

using Handle = std::unique_ptr<void, CloseLibrary>;

Handle open_library() {
#ifndef NETC_NO_CUDA
  for (const char* name : {"libnvrtc.so.13", "/usr/local/cuda/lib64/libnvrtc.so.13", "libnvrtc.so",
                           "/usr/local/cuda/lib64/libnvrtc.so", "libnvrtc.so.12"})
    if (void* handle = dlopen(name, RTLD_NOW | RTLD_LOCAL))
      return Handle(handle);
#endif
  return {};
}

} // namespace

/// The library's functions, as nvrtc.h declares them; the types are declared here because the build
/// does not need the toolkit.
struct NvrtcToolchain::Library {
  Handle handle;
  int (*version)(int* major, int* minor);
  const char* (*error_string)(int result);
  int (*create)(NvrtcProgram*, const char* source, const char* name, int headers,
                const char* const* texts, const char* const* names);
  int (*destroy)(NvrtcProgram*);
  int (*compile)(NvrtcProgram, int count, const char* const* options);
  int (*log_size)(NvrtcProgram, size_t*);
  int (*log)(NvrtcProgram, char*);
  int (*cubin_size)(NvrtcProgram, size_t*);
  int (*cubin)(NvrtcProgram, char*);
  int (*ptx_size)(NvrtcProgram, size_t*);
  int (*ptx)(NvrtcProgram, char*);
  int (*arch_count)(int*);
  int (*archs)(int*);

  /// Finds all functions; false when one is missing.
  bool bind() {
    return bind(version, "nvrtcVersion") && bind(error_string, "nvrtcGetErrorString") &&
           bind(create, "nvrtcCreateProgram") && bind(destroy, "nvrtcDestroyProgram") &&
           bind(compile, "nvrtcCompileProgram") && bind(log_size, "nvrtcGetProgramLogSize") &&
           bind(log, "nvrtcGetProgramLog") && bind(cubin_size, "nvrtcGetCUBINSize") &&
           bind(cubin, "nvrtcGetCUBIN") && bind(ptx_size, "nvrtcGetPTXSize") &&
           bind(ptx, "nvrtcGetPTX") && bind(arch_count, "nvrtcGetNumSupportedArchs") &&
           bind(archs, "nvrtcGetSupportedArchs");
  }

  void check(int result, const char* what) const {
    if (result != nvrtc_success)
      throw RuntimeError(fmt::format("{} failed: {} ({})", what, error_string(result), result),
                         "is the CUDA Toolkit complete (libnvrtc-builtins beside libnvrtc)?");
  }

  /// What a pair of functions like nvrtcGetCUBINSize and nvrtcGetCUBIN gives.
  std::string bytes(NvrtcProgram program, int (*size_of)(NvrtcProgram, size_t*),
                    int (*get)(NvrtcProgram, char*), const char* what) const {
    size_t size = 0;
    check(size_of(program, &size), what);
    std::string text(size, '\0');
    check(get(program, text.data()), what);
    return text;
  }

private:
  template <class Function> bool bind(Function*& function, const char* name) {
    function = reinterpret_cast<Function*>(dlsym(handle.get(), name));
    return function != nullptr;
  }
};

NvrtcToolchain::NvrtcToolchain() {
  auto library = std::make_unique<Library>();
  library->handle = open_library();
  int major = 0, minor = 0, count = 0;
  if (!library->handle || !library->bind() || library->version(&major, &minor) != nvrtc_success ||
      library->arch_count(&count) != nvrtc_success)
    return;
  capabilities_.resize(static_cast<size_t>(count));
  if (library->archs(capabilities_.data()) != nvrtc_success)
    return;
  std::sort(capabilities_.begin(), capabilities_.end());
  version_ = fmt::format("NVRTC {}.{}", major, minor);
  library_ = std::move(library);
}

NvrtcToolchain::~NvrtcToolchain() = default;

void NvrtcToolchain::check_available() const {
  if (!available())
    throw RuntimeError("NVRTC is not on this machine, or netc was built without CUDA",
                       "install the CUDA Toolkit (12.8 or newer), or use `--device cpu:0`");
}

std::string arch_for(int gpu, const std::vector<int>& known) {
  auto after = std::upper_bound(known.begin(), known.end(), gpu);
  if (after == known.begin())
    return {};
  int newest = *std::prev(after);
  // Only a GPU of capability 9.0 runs sm_90a, which has more matrix instructions than sm_90.
  return fmt::format("{}_{}{}", newest == gpu ? "sm" : "compute", newest,
                     gpu == 90 && newest == gpu ? "a" : "");
}

bool knows_arch(const Target& target, const std::vector<int>& known) {
  int capability = target.capability();
  char suffix = target.arch.back();
  return std::binary_search(known.begin(), known.end(), capability) &&
         (suffix != 'a' || capability >= 90) && (suffix != 'f' || capability >= 100);
}

namespace {

/// Makes ptxas say what registers the entries use; compilation is the same.
const std::string resources_option = "--ptxas-options=-v";

std::vector<std::string> options_for(const std::string& arch) {
  return {"-std=c++20", "-default-device", "-arch=" + arch};
}

} // namespace

// PTX begins with the compiler's build, and the macro is its number. A process opens one library:
// it is asked once, which takes milliseconds.
const std::string& NvrtcToolchain::build() const {
  static const std::string ptx = [this] {
    check_available();
    std::string log;
    return compile("__device__ int build = __CUDACC_VER_BUILD__;\n",
                   fmt::format("compute_{}", capabilities_.front()), log);
  }();
  return ptx;
}

std::string NvrtcToolchain::fingerprint(const std::string& arch) const {
  std::string all = version_ + "\n" + build() + "\n";
  for (const std::string& option : options_for(arch))
    all += option + "\n";
  all += resources_option + "\n";
  for (const auto& [name, text] : device_files())
    all += name + "\n" + text;
  return all;
}

std::string NvrtcToolchain::compile(const std::string& source, const std::string& arch,
                                    bool resources, std::string& log, bool& failed) const {
  check_available();
  const Library& nvrtc = *library_;
  std::vector<const char*> texts, names;
  for (const auto& [name, text] : device_files()) {
    names.push_back(name.c_str());
    texts.push_back(text.c_str());
  }
  NvrtcProgram program = nullptr;
  nvrtc.check(nvrtc.create(&program, source.c_str(), "kernel.cu", static_cast<int>(names.size()),
                           texts.data(), names.data()),
              "nvrtcCreateProgram");
  auto destroy = [&](NvrtcProgram* p) { nvrtc.destroy(p); };
  std::unique_ptr<NvrtcProgram, decltype(destroy)> owner(&program, destroy);

  const std::vector<std::string> words = options_for(arch);
  std::vector<const char*> options;
  for (const std::string& word : words)
    options.push_back(word.c_str());
  if (resources)
    options.push_back(resources_option.c_str());
  int result = nvrtc.compile(program, static_cast<int>(options.size()), options.data());
  log = nvrtc.bytes(program, nvrtc.log_size, nvrtc.log, "nvrtcGetProgramLog");
  log.erase(log.find_last_not_of(std::string("\0\n", 2)) + 1);
  failed = result == nvrtc_compilation_failed;
  if (failed)
    return {};
  nvrtc.check(result, "nvrtcCompileProgram");
  if (arch.rfind("compute_", 0) == 0)
    return nvrtc.bytes(program, nvrtc.ptx_size, nvrtc.ptx, "nvrtcGetPTX");
  return nvrtc.bytes(program, nvrtc.cubin_size, nvrtc.cubin, "nvrtcGetCUBIN");
}

std::string NvrtcToolchain::compile(const std::string& source, const std::string& arch,
                                    std::string& log) const {
  bool failed = false;
  std::string binary = compile(source, arch, false, log, failed);
  if (failed)
    internal_error(__FILE__, __LINE__,
                   fmt::format("a CUDA kernel does not compile for {}\n{}", arch, log));
  return binary;
}

namespace {

/// The number in front of `what` in `line`, or 0.
int number_before(std::string_view line, std::string_view what) {
  size_t at = line.find(what);
  if (at == line.npos)
    return 0;
  size_t digits = at;
  while (digits > 0 && std::isdigit(static_cast<unsigned char>(line[digits - 1])))
    --digits;
  return std::atoi(std::string(line.substr(digits, at - digits)).c_str());
}

/// The line of `source` that `log` is about first, as a line of the report: `kernel.cu(3): ...`,
/// or, of a template in a header, `... at line 3 of kernel.cu`. Empty when there is none.
std::string line_in_question(const std::string& source, const std::string& log) {
  const std::string in_text = "kernel.cu(", from_text = " of kernel.cu";
  const size_t at = log.find(in_text);
  const int number = at < log.find(from_text) ? std::atoi(log.c_str() + at + in_text.size())
                                              : number_before(log, from_text);
  std::istringstream lines(source);
  std::string line;
  for (int i = 0; i < number && std::getline(lines, line); ++i) {
  }
  return number > 0 ? fmt::format("{:>5} | {}\n", number, line) : "";
}

/// What ptxas reports of each entry, e.g. `Compiling entry function 'kernel_0'` and, lines later,
/// `32 bytes stack frame, 16 bytes spill stores, 24 bytes spill loads` and `Used 128 registers`. A
/// stack frame is local memory, too: arrays that are not in registers.
void read_resources(const std::string& log, std::vector<KernelEntry>& entries) {
  KernelEntry* entry = nullptr;
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);) {
    const std::string mark = "entry function 'kernel_";
    if (size_t at = line.find(mark); at != line.npos) {
      size_t index = static_cast<size_t>(std::atoi(line.c_str() + at + mark.size()));
      entry = index < entries.size() ? &entries[index] : nullptr;
    }
    if (!entry)
      continue;
    entry->spill_bytes = std::max(
        {entry->spill_bytes, number_before(line, " bytes stack frame"),
         number_before(line, " bytes spill stores") + number_before(line, " bytes spill loads")});
    entry->registers = std::max(entry->registers, number_before(line, " registers"));
  }
}

} // namespace

CompileStats NvrtcToolchain::compile(std::vector<CompileJob>& jobs, int parallel,
                                     const std::string& arch,
                                     const std::filesystem::path& folder) const {
  const std::string suffix = arch.rfind("compute_", 0) == 0 ? ".ptx" : ".cubin";
  const std::string report = ".ptxas.txt";
  CompileCache cache(folder, {suffix, report});
  auto compile_one = [&](const CompileJob& job) {
    std::string log;
    bool failed = false;
    std::string binary = compile(job.source, arch, true, log, failed);
    if (failed)
      internal_error(__FILE__, __LINE__,
                     fmt::format("kernel `{}` does not compile for {}, see {}\n{}{}{}", job.name,
                                 arch, cache.keep_failed(job, ".cu").string(), users_note(job),
                                 line_in_question(job.source, log), log));
    for (const auto& [text, kind] : {std::pair{log + "\n", report}, std::pair{binary, suffix}}) {
      const std::filesystem::path partial = temporary_name(folder, kind);
      write_text(partial, text, cache_hint);
      cache.keep(job, partial, kind);
    }
  };
  CompileStats stats = cache.compile(jobs, parallel, fingerprint(arch), compile_one);
  for (CompileJob& job : jobs)
    if (auto log = read_text(cache.file(job, report)))
      read_resources(*log, job.entries);
  return stats;
}

} // namespace netc
