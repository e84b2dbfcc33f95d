#include "runtime/atomic_file.h"

#include "ir/support/error.h"
#include "tests/runtime/child_process.h"
#include "tests/runtime/temporary_folder.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>

namespace netc {
namespace {

namespace fs = std::filesystem;

TEST(AtomicFile, CreatesAndReplaces) {
  TemporaryFolder folder;
  write_file_atomically(folder / "a", "one");
  EXPECT_EQ(read_file(folder / "a"), "one");
  write_file_atomically(folder / "a", "");
  EXPECT_EQ(read_file(folder / "a"), "");
  EXPECT_EQ(folder.entries(), 1);
}

TEST(AtomicFile, AppearsAtCommitOnly) {
  TemporaryFolder folder;
  write_file_atomically(folder / "a", "old");
  {
    AtomicFile file(folder / "a");
    file.write("new");
    EXPECT_EQ(read_file(folder / "a"), "old");
    EXPECT_EQ(folder.entries(), 2);
  }
  EXPECT_EQ(read_file(folder / "a"), "old");
  EXPECT_EQ(folder.entries(), 1) << "the temporary file is gone";
}

TEST(AtomicFile, TwoWritersDoNotMix) {
  TemporaryFolder folder;
  AtomicFile first(folder / "a"), second(folder / "a");
  first.write("first");
  second.write("second");
  first.commit();
  EXPECT_EQ(read_file(folder / "a"), "first");
  second.commit();
  EXPECT_EQ(read_file(folder / "a"), "second");
}

TEST(ReplaceFolder, PutsTheNextInPlaceOrLeavesAllAsItWas) {
  TemporaryFolder folder;
  for (const char* name : {"plan", "next"}) {
    fs::create_directory(folder / name);
    write_file_atomically(folder / name / "text", name);
  }
  auto replace = [&](const char* next) {
    replace_folder(folder / next, folder / "plan", folder / "former");
  };
  EXPECT_THROW(replace("absent"), UserError);
  EXPECT_EQ(read_file(folder / "plan/text"), "plan");
  EXPECT_EQ(folder.entries(), 2) << "nothing stands aside";
  replace("next");
  EXPECT_EQ(read_file(folder / "plan/text"), "next");
  EXPECT_EQ(folder.entries(), 1);
}

TEST(AtomicFile, HonoursTheUmask) {
  TemporaryFolder folder;
  mode_t former = ::umask(027);
  write_file_atomically(folder / "a", "x");
  ::umask(former);
  struct stat status = {};
  ASSERT_EQ(::stat((folder / "a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
}

TEST(AtomicFile, WritesIntoTheCurrentFolder) {
  TemporaryFolder folder;
  EXPECT_EQ(run_child([&] {
              fs::current_path(folder.path());
              write_file_atomically("plain-name", "x");
              return read_file("plain-name") == "x" ? 0 : 1;
            }),
            0);
}

TEST(AtomicFile, MissingFolderIsTheUsersError) {
  TemporaryFolder folder;
  std::string text = error_of<UserError>([&] { AtomicFile file(folder / "no" / "a"); });
  EXPECT_NE(text.find("cannot write `"), text.npos) << text;
  EXPECT_NE(text.find("/no/a`: no such file or directory\nnote: "), text.npos) << text;
}

TEST(AtomicFile, FullDiskKeepsTheOldFileAndLeavesNothing) {
  TemporaryFolder folder;
  write_file_atomically(folder / "a", "old");
  int code = run_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit = {100, 100};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      write_file_atomically(folder / "a", std::string(1000, 'x'));
    } catch (const RuntimeError& error) {
      std::string text = error.what();
      bool named = text.find("/a`: file too large (errno 27)") != text.npos;
      return named && error.hint().find("ulimit -f") != std::string::npos ? 0 : 1;
    }
    return 2;
  });
  EXPECT_EQ(code, 0);
  EXPECT_EQ(read_file(folder / "a"), "old");
  EXPECT_EQ(folder.entries(), 1);
}

TEST(AtomicFile, WriteAllReportsAFullDevice) {
  FileDescriptor full(::open("/dev/full", O_WRONLY));
  if (!full.valid())
    GTEST_SKIP() << "no /dev/full";
  EXPECT_EQ(write_all(full, "x", 1), ENOSPC);
  RuntimeError error("none");
  try {
    throw_file_error("write", "/data/a", ENOSPC);
  } catch (const RuntimeError& thrown) {
    error = thrown;
  }
  EXPECT_STREQ(error.what(), "cannot write `/data/a`: no space left on device (errno 28)");
  EXPECT_EQ(error.hint(), "free some space on that disk, or choose another folder");
}

TEST(AtomicFile, KilledBeforeTheRenameLeavesTheOldFile) {
  TemporaryFolder folder;
  write_file_atomically(folder / "a", "old");
  EXPECT_EQ(run_child([&] {
              AtomicFile file(folder / "a");
              file.write("new");
              ::kill(::getpid(), SIGKILL);
              return 0;
            }),
            -SIGKILL);
  EXPECT_EQ(read_file(folder / "a"), "old");
  ASSERT_EQ(folder.entries(), 2);
  int temporaries = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder.path()))
    temporaries += is_temporary_of(entry.path().filename().string(), "a");
  EXPECT_EQ(temporaries, 1);
}

TEST(ReadFile, RefusesWhatIsNoRegularFile) {
  TemporaryFolder folder;
  EXPECT_NE(error_of<UserError>([&] { read_file(folder.path()); }).find("is a directory"),
            std::string::npos);
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_NE(error_of<UserError>([&] { read_file(folder / "pipe"); }).find("not a regular file"),
            std::string::npos)
      << "without waiting for a writer";
  EXPECT_NE(error_of<UserError>([&] { read_file(folder / "none"); }).find("no such file"),
            std::string::npos);
}

TEST(ReadExactly, ReportsAFileThatBecameShorter) {
  TemporaryFolder folder;
  write_file_atomically(folder / "a", "12345678");
  int64_t size = 0;
  FileDescriptor file = open_for_reading(folder / "a", size);
  EXPECT_EQ(size, 8);
  ASSERT_EQ(::truncate((folder / "a").c_str(), 3), 0);
  char out[8];
  std::string text = error_of<RuntimeError>([&] { read_exactly(file, folder / "a", 0, out, 8); });
  EXPECT_NE(text.find("it ends at byte 3"), text.npos) << text;
}

TEST(Printable, FitsAnythingIntoOneLine) {
  EXPECT_EQ(printable("a\nb\x1b[31m\x7f"), "a?b?[31m?");
  EXPECT_EQ(printable("größe"), "größe");
  EXPECT_EQ(printable("abcdef", 3), "abc...");
  EXPECT_EQ(printable("aöö", 2), "a...") << "no half character";
}

TEST(ErrnoText, FollowsTheStyleOfMessages) {
  EXPECT_EQ(errno_text(ENOSPC), "no space left on device");
  EXPECT_EQ(errno_text(EIO), "input/output error");
}

} // namespace
} // namespace netc
