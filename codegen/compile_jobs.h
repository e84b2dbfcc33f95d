#pragma once
// What all compilers of kernels share: jobs, their cache on disk, parallel work.

#include "ir/plan.h"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace netc {

/// A kernel's source and, once compiled, its binary in the cache.
struct CompileJob {
  std::string name; ///< For messages.
  std::string source;
  bool exact = false; ///< Products are rounded before they are added, unless the source says so.
  std::vector<std::string> users{};   ///< For messages: "layer (file:line:col)".
  std::vector<KernelEntry> entries{}; ///< Of CUDA text; the compiler fills in what it says of them.
  std::string key{};                  ///< Filled: names source, headers, options and compiler.
  std::filesystem::path binary{};     ///< Filled: a file in the cache.
};

struct CompileStats {
  int hits = 0;
  int misses = 0;
  double seconds = 0;
};

/// Binaries by the content of what they were made from. Files appear whole or not at all, so
/// several processes may share a folder.
class CompileCache {
public:
  /// `folder` is created when missing; RuntimeError when that fails. `suffixes`: of the files a job
  /// leaves, the binary's first.
  CompileCache(std::filesystem::path folder, std::vector<std::string> suffixes);

  /// Fills `key` and `binary` of the jobs and calls `compile_one` for those whose files are not all
  /// there, `parallel` at once; it leaves them with keep(). Equal jobs are compiled once. After a
  /// failure no further job is begun, and it is thrown again. `fingerprint`: all that a binary
  /// depends on but its source.
  CompileStats compile(std::vector<CompileJob>& jobs, int parallel, const std::string& fingerprint,
                       const std::function<void(const CompileJob&)>& compile_one) const;

  const std::filesystem::path& folder() const { return folder_; }
  /// A file of the job, by its suffix.
  std::filesystem::path file(const CompileJob& job, const std::string& suffix) const;
  /// Moves a finished file to its place, in one step.
  void keep(const CompileJob& job, const std::filesystem::path& finished,
            const std::string& suffix) const;
  /// Leaves the text of a job that does not compile in the cache, for whoever reads the message.
  std::filesystem::path keep_failed(const CompileJob& job, const std::string& suffix) const;

private:
  bool holds(const CompileJob& job) const;

  std::filesystem::path folder_;
  std::vector<std::string> suffixes_;
};

/// Runs work(0) ... work(count - 1), `parallel` at once. The first failure ends it and is thrown.
void run_parallel(size_t count, int parallel, const std::function<void(size_t)>& work);

/// `used by conv2 (alexnet.yaml:9:5)`, one line a user; empty when there is none.
std::string users_note(const CompileJob& job);

/// The hint of failures to write into a cache.
extern const char* const cache_hint;

/// Where binaries are cached unless the user says otherwise: the user's cache folder, or one below
/// the system's folder for temporary files.
std::filesystem::path default_cache();

} // namespace netc
