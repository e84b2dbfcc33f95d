#include "codegen/compile_jobs.h"

#include "ir/support/error.h"
#include "ir/support/files.h"
#include "ir/support/hash.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <set>
#include <thread>

namespace netc {

namespace fs = std::filesystem;

const char* const cache_hint = "is there room on the disk, and may you write there? `--cache DIR` "
                               "chooses another folder";

fs::path default_cache() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache)
    return fs::path(cache) / "netc";
  if (const char* home = std::getenv("HOME"); home && *home)
    return fs::path(home) / ".cache" / "netc";
  return fs::temp_directory_path() / "netc-cache";
}

void run_parallel(size_t count, int parallel, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next{0};
  std::exception_ptr failure;
  std::mutex mutex;
  auto run = [&] {
    for (size_t i; (i = next++) < count;)
      try {
        work(i);
      } catch (...) {
        std::lock_guard lock(mutex);
        if (!failure)
          failure = std::current_exception();
        next = count;
      }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min(count, static_cast<size_t>(std::max(parallel, 1))); ++i)
    threads.emplace_back(run);
  run();
  for (std::thread& thread : threads)
    thread.join();
  if (failure)
    std::rethrow_exception(failure);
}

std::string users_note(const CompileJob& job) {
  std::string note;
  for (const std::string& user : job.users)
    note += "used by " + user + "\n";
  return note;
}

CompileCache::CompileCache(fs::path folder, std::vector<std::string> suffixes)
    : folder_(std::move(folder)), suffixes_(std::move(suffixes)) {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error)
    throw RuntimeError(
        fmt::format("the cache folder `{}` cannot be made: {}", folder_.string(), error.message()),
        "`--cache DIR` chooses another folder");
}

fs::path CompileCache::file(const CompileJob& job, const std::string& suffix) const {
  return folder_ / (job.key + suffix);
}

void CompileCache::keep(const CompileJob& job, const fs::path& finished,
                        const std::string& suffix) const {
  fs::rename(finished, file(job, suffix)); // atomic: another process sees all of it or nothing
}

fs::path CompileCache::keep_failed(const CompileJob& job, const std::string& suffix) const {
  fs::path kept = folder_ / ("failed-" + job.key + suffix);
  write_text(kept, job.source, cache_hint);
  return kept;
}

bool CompileCache::holds(const CompileJob& job) const {
  for (const std::string& suffix : suffixes_) {
    std::error_code error; // an empty file is what a power failure leaves
    auto size = fs::file_size(file(job, suffix), error);
    if (error || size == 0)
      return false;
  }
  return true;
}

CompileStats
CompileCache::compile(std::vector<CompileJob>& jobs, int parallel, const std::string& fingerprint,
                      const std::function<void(const CompileJob&)>& compile_one) const {
  auto start = std::chrono::steady_clock::now();
  CompileStats stats;
  std::vector<const CompileJob*> missing;
  std::set<std::string> begun;
  for (CompileJob& job : jobs) {
    job.key = content_hash(fingerprint + (job.exact ? "exact\n" : "") + job.source);
    job.binary = file(job, suffixes_.front());
    bool cached = holds(job) || !begun.insert(job.key).second;
    ++(cached ? stats.hits : stats.misses);
    if (!cached)
      missing.push_back(&job);
  }
  run_parallel(missing.size(), parallel, [&](size_t i) { compile_one(*missing[i]); });
  stats.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return stats;
}

} // namespace netc
