#include "codegen/toolchain.h"

#include "ir/support/error.h"
#include "ir/support/hash.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>

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
  // Speed lies in the checks; -ffp-contract=off: the same bits on every machine.
  static const std::vector<std::string> emu = {"-std=c++20",
                                               "-O2",
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
                                               "-D__launch_bounds__(threads)="};
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
  std::ifstream in(log);
  std::ostringstream text;
  text << in.rdbuf();
  finished.output = text.str();
  std::error_code ignored;
  fs::remove(log, ignored);
  return finished;
}

/// A name no other thread or process uses.
fs::path temporary(const fs::path& folder, const std::string& suffix) {
  static std::atomic<int> counter{0};
  return folder / fmt::format("tmp-{}-{}{}", getpid(), counter++, suffix);
}

void write_file(const fs::path& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  if (!out)
    throw RuntimeError(fmt::format("writing `{}` failed: {}", path.string(), std::strerror(errno)),
                       "is there room on the disk, and may you write there? `--cache DIR` chooses "
                       "another folder");
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
    fs::path partial = temporary((folder / name).parent_path(), ".h");
    write_file(partial, text);
    fs::rename(partial, folder / name);
  }
  write_file(folder / "complete", "");
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

fs::path default_cache() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache)
    return fs::path(cache) / "netc";
  if (const char* home = std::getenv("HOME"); home && *home)
    return fs::path(home) / ".cache" / "netc";
  return fs::temp_directory_path() / "netc-cache";
}

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
    : kernels_(kernels), cache_(std::move(cache)), compiler_(find_compiler(compiler)) {
  std::error_code error;
  fs::create_directories(cache_, error);
  if (error)
    throw RuntimeError(
        fmt::format("the cache folder `{}` cannot be made: {}", cache_.string(), error.message()),
        "`--cache DIR` chooses another folder");
  include_ = write_headers(cache_);
  std::vector<std::string> ask = {compiler_, "-dM", "-E", "-x", "c++", "/dev/null"};
  if (kernels_ == HostKernels::cpu)
    ask.emplace_back("-march=native");
  std::string macros = run(ask, temporary(cache_, ".log")).output;
  version_ = run({compiler_, "--version"}, temporary(cache_, ".log")).output;
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
  fs::path source = temporary(cache_, ".cpp"), object = temporary(cache_, ".so");
  write_file(source, text_of(job));
  std::vector<std::string> command = {compiler_};
  command.insert(command.end(), options(kernels_).begin(), options(kernels_).end());
  command.insert(command.end(), {"-I", include_.string(), source.string(), "-o", object.string()});
  Finished finished = run(command, temporary(cache_, ".log"));
  std::error_code ignored;
  if (finished.status != 0) {
    fs::path kept = cache_ / ("failed-" + job.key + ".cpp");
    fs::rename(source, kept, ignored);
    if (finished.status == -1 || WIFSIGNALED(finished.status))
      throw RuntimeError(fmt::format("the compiler `{}` did not run to its end", compiler_),
                         "out of memory? fewer jobs at once: `--threads 1`");
    internal_error(__FILE__, __LINE__,
                   fmt::format("kernel `{}` does not compile, see {}\n{}", job.name, kept.string(),
                               finished.output));
  }
  fs::remove(source, ignored);
  fs::rename(object, job.binary); // atomic: another process sees all of it or nothing
}

CompileStats CpuToolchain::compile(std::vector<CompileJob>& jobs, int parallel) const {
  auto start = std::chrono::steady_clock::now();
  CompileStats stats;
  std::vector<const CompileJob*> missing;
  for (CompileJob& job : jobs) {
    job.key = content_hash(fingerprint_ + text_of(job));
    job.binary = cache_ / (job.key + ".so");
    std::error_code ignored; // an empty file is what a power failure leaves
    bool cached = fs::exists(job.binary) && fs::file_size(job.binary, ignored) > 0;
    ++(cached ? stats.hits : stats.misses);
    if (!cached)
      missing.push_back(&job);
  }
  std::atomic<size_t> next{0};
  std::exception_ptr failure;
  std::mutex mutex;
  auto work = [&] {
    for (size_t i; (i = next++) < missing.size();)
      try {
        compile_one(*missing[i]);
      } catch (...) {
        std::lock_guard lock(mutex);
        failure = std::current_exception();
        next = missing.size();
      }
  };
  std::vector<std::thread> threads;
  for (int i = 1; i < parallel; ++i)
    threads.emplace_back(work);
  work();
  for (std::thread& thread : threads)
    thread.join();
  if (failure)
    std::rethrow_exception(failure);
  stats.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return stats;
}

} // namespace netc
