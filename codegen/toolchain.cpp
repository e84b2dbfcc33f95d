#include "codegen/toolchain.h"

#include "ir/support/error.h"
#include "ir/support/files.h"
#include "ir/support/hash.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

extern char** environ;

namespace netc {

namespace fs = std::filesystem;

const std::map<std::string, std::string>& device_files() {
  static const std::map<std::string, std::string> files = {
#include "codegen/device_files.inc"
  };
  return files;
}

namespace {

/// No -ffast-math: NaN must pass and reductions keep their order. -fwrapv: counters are words.
const std::vector<std::string>& options(HostKernels kernels) {
  static const std::vector<std::string> cpu = {"-std=c++20",
                                               "-O3",
                                               "-march=native",
                                               "-ffp-contract=fast",
                                               "-fno-math-errno",
                                               "-fwrapv",
                                               "-fno-trapping-math",
                                               "-fno-exceptions",
                                               "-fno-rtti",
                                               "-fPIC",
                                               "-shared",
                                               "-s",
                                               "-w"};
  // Speed lies in the checks, which -O2 makes no faster; -ffp-contract=off: the same bits on every
  // machine.
  static const std::vector<std::string> emu = {"-std=c++20",
                                               "-O1",
                                               "-ffp-contract=off",
                                               "-fno-math-errno",
                                               "-fwrapv",
                                               "-fno-exceptions",
                                               "-fno-rtti",
                                               "-fPIC",
                                               "-fvisibility=hidden",
                                               "-shared",
                                               "-s",
                                               "-w",
                                               "-D__global__=",
                                               "-D__launch_bounds__(...)="};
  return kernels == HostKernels::cpu ? cpu : emu;
}

struct Finished {
  int status; ///< As waitpid reports it; -1: could not be started.
  std::string output;
};

/// Runs a program, with stdout and stderr together in a file, and reads what it printed.
Finished run(const std::vector<std::string>& command, const fs::path& log) {
  std::vector<char*> argv;
  for (const std::string& word : command)
    argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t pid = 0;
  Finished finished{-1, {}};
  if (posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ) == 0)
    while (waitpid(pid, &finished.status, 0) < 0 && errno == EINTR) {
    }
  posix_spawn_file_actions_destroy(&actions);
  finished.output = read_text(log).value_or("");
  std::error_code ignored;
  fs::remove(log, ignored);
  return finished;
}

/// Header files the kernels include, in a folder named after their content.
fs::path write_headers(const fs::path& cache) {
  std::string all;
  for (const auto& [name, text] : device_files())
    all += name + "\n" + text;
  fs::path folder = cache / ("include-" + content_hash(all).substr(0, 16));
  if (fs::exists(folder / "complete"))
    return folder;
  for (const auto& [name, text] : device_files()) {
    fs::create_directories((folder / name).parent_path());
    fs::path partial = temporary_name((folder / name).parent_path(), ".h");
    write_text(partial, text, cache_hint);
    fs::rename(partial, folder / name);
  }
  write_text(folder / "complete", "", cache_hint);
  return folder;
}

bool on_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');)
    if (access((fs::path(folder) / program).c_str(), X_OK) == 0)
      return true;
  return program.find('/') != std::string::npos && access(program.c_str(), X_OK) == 0;
}

std::string find_compiler(const std::string& wanted) {
  if (!wanted.empty()) {
    if (!on_path(wanted))
      throw RuntimeError(fmt::format("the C++ compiler `{}` is not installed", wanted));
    return wanted;
  }
  for (const char* name : {"c++", "g++", "clang++"})
    if (on_path(name))
      return name;
  throw RuntimeError("no C++ compiler on this machine (looked for c++, g++ and clang++)",
                     "install one (Debian: `apt-get install g++`), or compile elsewhere: a plan "
                     "runs without a compiler");
}

std::string widest_vectors(const std::string& macros) {
  if (macros.find("__AVX512F__") != std::string::npos)
    return "avx512f";
  return macros.find("__AVX2__") != std::string::npos ? "avx2" : "baseline";
}

} // namespace

std::string emulator_source(const std::string& text) {
  std::string source = "#line 1 \"kernel.cu\"\n" + text;
  source += "\n#include \"codegen/device/emu/entry.h\"\n";
  for (int i = 0; text.find(fmt::format(" kernel_{}(", i)) != text.npos; ++i)
    source += fmt::format("extern \"C\" __attribute__((visibility(\"default\"))) void "
                          "emulate_{0}(netc::emu::Machine& machine) {{\n"
                          "  netc::emu::enter(kernel_{0}, machine);\n}}\n",
                          i);
  return source;
}

CpuToolchain::CpuToolchain(fs::path cache, std::string compiler, HostKernels kernels)
    : kernels_(kernels), cache_(std::move(cache), {".so"}), compiler_(find_compiler(compiler)) {
  include_ = write_headers(cache_.folder());
  std::vector<std::string> ask = {compiler_, "-dM", "-E", "-x", "c++", "/dev/null"};
  if (kernels_ == HostKernels::cpu)
    ask.emplace_back("-march=native");
  std::string macros = run(ask, temporary_name(cache_.folder(), ".log")).output;
  version_ = run({compiler_, "--version"}, temporary_name(cache_.folder(), ".log")).output;
  version_ = version_.substr(0, version_.find('\n'));
  machine_ = kernels_ == HostKernels::cpu ? widest_vectors(macros) : "baseline";
  fingerprint_ = version_ + macros + include_.filename().string();
  for (const std::string& option : options(kernels_))
    fingerprint_ += option + " ";
}

std::string CpuToolchain::text_of(const CompileJob& job) const {
  return kernels_ == HostKernels::cpu ? job.source : emulator_source(job.source);
}

void CpuToolchain::compile_one(const CompileJob& job) const {
  fs::path source = temporary_name(cache_.folder(), ".cpp");
  fs::path object = temporary_name(cache_.folder(), ".so");
  write_text(source, text_of(job), cache_hint);
  std::vector<std::string> command = {compiler_};
  command.insert(command.end(), options(kernels_).begin(), options(kernels_).end());
  if (job.exact)
    command.emplace_back("-ffp-contract=off");
  command.insert(command.end(), {"-I", include_.string(), source.string(), "-o", object.string()});
  Finished finished = run(command, temporary_name(cache_.folder(), ".log"));
  std::error_code ignored;
  fs::remove(source, ignored);
  if (finished.status == -1 || (finished.status != 0 && WIFSIGNALED(finished.status)))
    throw RuntimeError(fmt::format("the compiler `{}` did not run to its end", compiler_),
                       "out of memory? fewer jobs at once: `--threads 1`");
  if (finished.status != 0)
    internal_error(__FILE__, __LINE__,
                   fmt::format("kernel `{}` does not compile, see {}\n{}{}", job.name,
                               cache_.keep_failed(job, ".cpp").string(), users_note(job),
                               finished.output));
  cache_.keep(job, object, ".so");
}

CompileStats CpuToolchain::compile(std::vector<CompileJob>& jobs, int parallel) const {
  return cache_.compile(jobs, parallel, fingerprint_,
                        [this](const CompileJob& job) { compile_one(job); });
}

} // namespace netc
