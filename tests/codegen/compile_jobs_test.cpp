// The cache of binaries, with a compiler that only writes.

#include "codegen/compile_jobs.h"
#include "codegen/nvrtc.h"
#include "ir/support/error.h"
#include "ir/support/files.h"

#include <gmock/gmock.h>

#include <atomic>
#include <fmt/format.h>
#include <unistd.h>

namespace netc {
namespace {

namespace fs = std::filesystem;

class CompileCacheFolder : public testing::Test {
protected:
  CompileCacheFolder()
      : folder_(fs::temp_directory_path() / fmt::format("netc-cache-test-{}", getpid())),
        cache_(folder_, {".bin", ".txt"}) {}
  ~CompileCacheFolder() override { fs::remove_all(folder_); }

  /// Compiles by writing; counts how often it had to.
  CompileStats compile(std::vector<CompileJob>& jobs, const std::string& fingerprint = "compiler") {
    return cache_.compile(jobs, 2, fingerprint, [this](const CompileJob& job) {
      ++compiled_;
      if (job.source == "wrong")
        throw std::runtime_error(cache_.keep_failed(job, ".src").string());
      for (const std::string suffix : {".bin", ".txt"}) {
        const fs::path partial = temporary_name(folder_, suffix);
        write_text(partial, job.source + suffix);
        cache_.keep(job, partial, suffix);
      }
    });
  }

  fs::path folder_;
  CompileCache cache_;
  std::atomic<int> compiled_{0};
};

TEST_F(CompileCacheFolder, EqualJobsAreCompiledOnce) {
  std::vector<CompileJob> jobs = {
      {.name = "a", .source = "x"}, {.name = "b", .source = "y"}, {.name = "c", .source = "x"}};
  const CompileStats stats = compile(jobs);
  EXPECT_EQ(stats.misses, 2);
  EXPECT_EQ(stats.hits, 1);
  EXPECT_EQ(compiled_, 2);
  EXPECT_EQ(jobs[0].binary, jobs[2].binary);
  EXPECT_EQ(read_text(jobs[0].binary), "x.bin");
  EXPECT_EQ(read_text(jobs[1].binary), "y.bin");
  EXPECT_EQ(compile(jobs).hits, 3);
  EXPECT_EQ(compiled_, 2);
}

TEST_F(CompileCacheFolder, KeysDependOnTextAndFingerprint) {
  std::vector<CompileJob> jobs = {{.name = "a", .source = "x"}, {.name = "b", .source = "y"}};
  compile(jobs);
  std::vector<CompileJob> again = jobs;
  EXPECT_EQ(compile(again, "another compiler").misses, 2);
  EXPECT_NE(jobs[0].key, jobs[1].key);
  EXPECT_NE(jobs[0].key, again[0].key);
  again[0].name = "renamed", again[0].users = {"layer (net.yaml:1:1)"};
  EXPECT_EQ(compile(again).hits, 2); // names are not in a binary
  EXPECT_EQ(again[0].key, jobs[0].key);
}

TEST_F(CompileCacheFolder, KeysTellExactJobsFromOthers) {
  std::vector<CompileJob> jobs = {{.name = "a", .source = "x"},
                                  {.name = "a", .source = "x", .exact = true}};
  EXPECT_EQ(compile(jobs).misses, 2);
  EXPECT_NE(jobs[0].key, jobs[1].key);
}

TEST_F(CompileCacheFolder, AMissingOrEmptyFileIsAMiss) {
  std::vector<CompileJob> jobs = {{.name = "a", .source = "x"}};
  compile(jobs);
  write_text(cache_.file(jobs[0], ".txt"), "");
  EXPECT_EQ(compile(jobs).misses, 1);
  EXPECT_EQ(read_text(cache_.file(jobs[0], ".txt")), "x.txt");
  fs::remove(jobs[0].binary);
  EXPECT_EQ(compile(jobs).misses, 1);
  EXPECT_EQ(read_text(jobs[0].binary), "x.bin");
}

TEST_F(CompileCacheFolder, AFailureIsThrownAndItsTextKept) {
  std::vector<CompileJob> jobs = {{.name = "a", .source = "wrong"}};
  try {
    compile(jobs);
    ADD_FAILURE() << "compiled";
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(read_text(error.what()), "wrong");
  }
  EXPECT_FALSE(fs::exists(jobs[0].binary));
  EXPECT_THROW(compile(jobs), std::runtime_error); // not cached
  EXPECT_EQ(compiled_, 2);
}

TEST_F(CompileCacheFolder, NoJobIsBegunAfterAFailure) {
  std::vector<CompileJob> jobs;
  for (int i = 0; i < 10; ++i)
    jobs.push_back({.name = "a", .source = std::to_string(i)});
  EXPECT_THROW(cache_.compile(jobs, 1, "compiler",
                              [this](const CompileJob&) {
                                ++compiled_;
                                throw std::runtime_error("no");
                              }),
               std::runtime_error);
  EXPECT_EQ(compiled_, 1);
}

TEST(CompileCache, AFolderThatCannotBeMadeIsReported) {
  EXPECT_THROW(CompileCache("/dev/null/cache", {".bin"}), RuntimeError);
}

TEST(CompileCache, KeysOfNvrtcNameItsBuild) {
  const NvrtcToolchain nvrtc;
  if (!nvrtc.available())
    GTEST_SKIP() << "skipped: no NVRTC";
  const std::string text = nvrtc.fingerprint("sm_90");
  EXPECT_THAT(text, testing::ContainsRegex("Build ID: [^\n]+[0-9]"));
  EXPECT_THAT(text, testing::ContainsRegex(" build = [0-9]+;")); // of 13.0.88: 88
}

TEST(UsersNote, HasALineAUser) {
  EXPECT_EQ(users_note({}), "");
  EXPECT_EQ(users_note({.name = "a", .source = "", .users = {"x (n.yaml:1:2)", "y (n.yaml:3:4)"}}),
            "used by x (n.yaml:1:2)\nused by y (n.yaml:3:4)\n");
}

} // namespace
} // namespace netc
