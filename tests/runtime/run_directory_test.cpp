#include "runtime/train/run_directory.h"

#include "ir/support/error.h"
#include "runtime/train/checkpoint.h"
#include "tests/runtime/child_process.h"
#include "tests/runtime/temporary_folder.h"

namespace netc {
namespace {

namespace fs = std::filesystem;

TEST(RunDirectory, NumbersRunsOfANet) {
  TemporaryFolder folder;
  fs::path runs = folder / "runs";
  EXPECT_EQ(RunDirectory::create(runs, "lenet").path(), runs / "lenet-1");
  EXPECT_EQ(RunDirectory::create(runs, "lenet").path(), runs / "lenet-2");
  EXPECT_EQ(RunDirectory::create(runs, "alexnet").path(), runs / "alexnet-1");
  fs::remove(runs / "lenet-1");
  EXPECT_EQ(RunDirectory::create(runs, "lenet").path(), runs / "lenet-3");
}

TEST(RunDirectory, OtherNamesDoNotCount) {
  TemporaryFolder folder;
  for (const char* other : {"net-007", "net-x", "net-1-5", "net--4", "net-", "network-9", "net-3x"})
    fs::create_directory(folder / other);
  EXPECT_EQ(RunDirectory::create(folder.path(), "net").path(), folder / "net-1");
  write_file_atomically(folder / "net-2", "a file in the way");
  EXPECT_EQ(RunDirectory::create(folder.path(), "net").path(), folder / "net-3");
}

TEST(RunDirectory, NamesAreMadeSafe) {
  TemporaryFolder folder;
  EXPECT_EQ(RunDirectory::create(folder.path(), "../a b").path(), folder / "_._a_b-1");
  EXPECT_EQ(RunDirectory::create(folder.path(), "").path(), folder / "net-1");
  EXPECT_EQ(RunDirectory::create(folder.path(), "-x").path(), folder / "_x-1");
}

TEST(RunDirectory, ProcessesNeverShareANumber) {
  TemporaryFolder folder;
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i)
    children.push_back(start_child([&] {
      for (int n = 0; n < 10; ++n)
        RunDirectory::create(folder.path(), "net").write("owner", std::to_string(::getpid()));
      return 0;
    }));
  for (pid_t child : children)
    EXPECT_EQ(finish_child(child), 0);
  EXPECT_EQ(folder.entries(), 80);
}

TEST(RunDirectory, GivenFolderMustBeNewOrEmpty) {
  TemporaryFolder folder;
  fs::path path = folder / "deep" / "run";
  RunDirectory::create_at(path).write("a", "1");
  std::string text = error_of<UserError>([&] { RunDirectory::create_at(path); });
  EXPECT_NE(text.find("is not empty\nnote: continue its run with `--resume`"), text.npos) << text;
  EXPECT_EQ(RunDirectory::resume(path).read("a"), "1");
  fs::create_directory(folder / "empty");
  EXPECT_EQ(RunDirectory::create_at(folder / "empty/").path(), folder / "empty");
}

TEST(RunDirectory, ResumeNeedsARun) {
  TemporaryFolder folder;
  std::string text = error_of<UserError>([&] { RunDirectory::resume(folder / "none"); });
  EXPECT_NE(text.find("there is no run folder `"), text.npos) << text;
}

TEST(RunDirectory, OneProcessAtATime) {
  TemporaryFolder folder;
  RunDirectory run = RunDirectory::create(folder.path(), "net");
  EXPECT_EQ(run_child([&] {
              std::string text = error_of<UserError>([&] { RunDirectory::resume(run.path()); });
              return text.find("another process trains in `") != text.npos ? 0 : 1;
            }),
            0);
  RunDirectory moved = std::move(run);
  EXPECT_THROW(RunDirectory::resume(moved.path()), UserError) << "moving keeps the lock";
}

TEST(RunDirectory, LockGoesWithItsOwner) {
  TemporaryFolder folder;
  fs::path path;
  { path = RunDirectory::create(folder.path(), "net").path(); }
  EXPECT_NO_THROW(RunDirectory::resume(path));
}

TEST(RunDirectory, SmallFiles) {
  TemporaryFolder folder;
  RunDirectory run = RunDirectory::create(folder.path(), "net");
  EXPECT_FALSE(run.has("config.yaml"));
  run.write("config.yaml", "a: 1\n");
  run.write("config.yaml", "a: 2\n");
  EXPECT_TRUE(run.has("config.yaml"));
  EXPECT_EQ(run.read("config.yaml"), "a: 2\n");
}

TEST(RunDirectory, LatestIsTheHighestNumber) {
  TemporaryFolder folder;
  EXPECT_FALSE(latest_run(folder / "runs", "net"));
  for (const char* name : {"net-2", "net-10", "net-9", "netz-11"})
    fs::create_directories(folder / "runs" / name);
  write_file_atomically(folder / "runs" / "net-12", "not a folder");
  EXPECT_EQ(latest_run(folder / "runs", "net"), folder / "runs" / "net-10");
  write_file_atomically(folder / "runs" / "net-9" / checkpoint_name(3), "");
  EXPECT_EQ(latest_run(folder / "runs", "net"), folder / "runs" / "net-9") << "it has a checkpoint";
}

TEST(RunDirectory, DiscardedRunsAreGone) {
  TemporaryFolder folder;
  RunDirectory run = RunDirectory::create_at(folder / "r");
  run.write("config.json", "{}");
  run.discard();
  EXPECT_FALSE(std::filesystem::exists(folder / "r"));
}

TEST(RunDirectory, ResumeCommandSurvivesAShell) {
  TemporaryFolder folder;
  RunDirectory run = RunDirectory::create_at(folder / "it's mine");
  EXPECT_EQ(run.resume_command("lenet"),
            "netc train lenet --run '" + folder.path().string() + "/it'\\''s mine' --resume");
}

} // namespace
} // namespace netc
