// A session runs a plan: the same bits on any number of threads where that is promised, all of the
// planned memory and no more, nothing allocated inside a step.

#include "tests/driver/session_support.h"

#include <malloc.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

std::atomic<int64_t> allocations{0};

void* counted(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size ? size : 1))
    return memory;
  throw std::bad_alloc();
}

void* counted(std::size_t size, std::align_val_t alignment) {
  ++allocations;
  std::size_t align = static_cast<std::size_t>(alignment);
  if (void* memory = std::aligned_alloc(align, (size + align - 1) / align * align))
    return memory;
  throw std::bad_alloc();
}

} // namespace

void* operator new(std::size_t size) {
  return counted(size);
}
void* operator new[](std::size_t size) {
  return counted(size);
}
void* operator new(std::size_t size, std::align_val_t a) {
  return counted(size, a);
}
void* operator new[](std::size_t size, std::align_val_t a) {
  return counted(size, a);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace netc::test {
namespace {

/// The bytes of all state after some steps.
std::string trained(const Plan& plan, const fs::path& folder, int threads) {
  Session session(plan, folder, DeviceSpec{.threads = threads});
  session.initialize(1);
  EXPECT_TRUE(std::isfinite(train_steps(session, 3).back()));
  return state_bytes(session);
}

TEST(Session, OnePlanAndThreadCountGiveTheSameBits) {
  TemporaryFolder folder;
  Compiled compiled = compile_into(source_of(tiny_network()), test_options(), folder / "p");
  for (int threads : {1, 2})
    EXPECT_TRUE(trained(compiled.plan, folder / "p", threads) ==
                trained(compiled.plan, folder / "p", threads))
        << threads;
}

TEST(Session, ExactMathGivesTheSameBitsOnAnyNumberOfThreads) {
  TemporaryFolder folder;
  NetworkSource source = source_of(tiny_network());
  Compiled two = compile_into(source, test_options(true, 2), folder / "two");
  Compiled one = compile_into(source, test_options(true, 1), folder / "one");
  std::string bytes = trained(two.plan, folder / "two", 2);
  EXPECT_TRUE(bytes == trained(two.plan, folder / "two", 1));
  EXPECT_TRUE(bytes == trained(one.plan, folder / "one", 1));
}

void expect_no_allocation(Session& session) {
  session.initialize(1);
  for (const std::string program : {"train", "eval"}) {
    fill_feeds(session, program, random_batch(session.plan(), 0), {1, 0, 0.01});
    session.run(program);
    struct mallinfo2 before = mallinfo2();
    int64_t counted = allocations;
    for (int i = 0; i < 5; ++i)
      session.run(program);
    EXPECT_EQ(allocations - counted, 0) << program;
    struct mallinfo2 after = mallinfo2();
    EXPECT_EQ(after.uordblks, before.uordblks) << program;
    EXPECT_EQ(after.arena + after.hblkhd, before.arena + before.hblkhd) << program;
  }
}

TEST(Session, NothingIsAllocatedInsideAStep) {
  TemporaryFolder folder;
  Compiled compiled = compile_into(source_of(tiny_network()), test_options(), folder / "p");
  Session one(compiled.plan, folder / "p");
  expect_no_allocation(one);
  Session two(doubled(compiled.plan), folder / "p",
              {DeviceSpec{.name = "cpu:0"}, DeviceSpec{.name = "cpu:1"}});
  expect_no_allocation(two);
  EXPECT_GT(allocations, 0); // The counter counts.
}

/// One past the last byte of the arena that one step writes, found with two fill patterns; checks
/// what lies behind the arena up to the end of its page.
size_t arena_touched(Session& session, const std::string& program) {
  std::span<std::byte> arena(session.arena().data(), static_cast<size_t>(session.arena().size()));
  const size_t rest = (4096 - arena.size() % 4096) % 4096;
  size_t end = 0;
  for (std::byte pattern : {std::byte{0x5a}, std::byte{0xa5}}) {
    std::memset(arena.data(), static_cast<int>(pattern), arena.size() + rest);
    fill_feeds(session, program, random_batch(session.plan(), 0), {1, 0, 1e-4});
    session.run(program);
    size_t last = arena.size();
    while (last > 0 && arena[last - 1] == pattern)
      --last;
    end = std::max(end, last);
    for (size_t i = 0; i < rest; ++i)
      EXPECT_EQ(arena.data()[arena.size() + i], pattern) << i << " bytes behind the arena";
  }
  return end;
}

/// The highest byte touched lies in the plan's last line of 64 bytes.
void expect_whole_arena_used(Session& session, const std::string& program) {
  size_t touched = arena_touched(session, program);
  int64_t planned = session.plan().find_program(program)->arena_bytes;
  EXPECT_LE(static_cast<int64_t>(touched), planned) << program;
  EXPECT_GT(static_cast<int64_t>(touched), planned - 64) << program;
}

TEST(Session, TheHighestArenaByteIsThePlans) {
  for (const std::string name : {"alexnet-small", "lenet"}) {
    TemporaryFolder folder;
    Compiled compiled = compile_into(bundled(name), test_options(), folder / "p");
    Session session(compiled.plan, folder / "p");
    session.initialize(1);
    for (const char* program : {"train", "eval"})
      expect_whole_arena_used(session, program);
    EXPECT_EQ(session.arena().size(), std::max(compiled.plan.programs[0].arena_bytes,
                                               compiled.plan.programs[1].arena_bytes));
  }
}

/// Peak resident bytes of a child process that runs `body`.
int64_t peak_of(const std::function<int()>& body) {
  pid_t child = start_child(body);
  int status = 0;
  rusage usage{};
  wait4(child, &status, 0, &usage);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

int64_t planned_bytes(const Plan& plan, const std::string& program) {
  const Program& p = *plan.find_program(program);
  int64_t bytes = p.arena_bytes;
  for (const StateInit& s : plan.state)
    bytes += s.type.bytes();
  for (const Buffer& buffer : p.buffers)
    if (buffer.place == Place::feed || buffer.place == Place::output)
      bytes += buffer.bytes;
  return bytes;
}

TEST(Session, AlexNetUsesThePlannedMemory) {
  TemporaryFolder folder;
  CompileOptions options = test_options();
  options.batch = 32;
  compile_into(bundled("alexnet"), options, folder / "p");
  auto nothing = [&] {
    Plan plan = read_plan(folder / "p");
    return plan.batch == 32 ? 0 : 1;
  };
  auto step = [&] {
    Plan plan = read_plan(folder / "p");
    Session session(plan, folder / "p");
    session.initialize(1);
    for (const Buffer& buffer : plan.find_program("train")->buffers) // as a batch would
      if (buffer.place == Place::feed)
        std::memset(session.feed("train", buffer.name).data(), 0,
                    static_cast<size_t>(buffer.bytes));
    session.run("train");
    return 0;
  };
  int64_t used = peak_of(step) - peak_of(nothing);
  int64_t planned = planned_bytes(read_plan(folder / "p"), "train");
  fmt::print("peak of a step over that of nothing: {:.1f} MB, planned {:.1f} MB ({:+.2f} %)\n",
             static_cast<double>(used) / 1e6, static_cast<double>(planned) / 1e6,
             100.0 * static_cast<double>(used - planned) / static_cast<double>(planned));
  EXPECT_NEAR(static_cast<double>(used) / static_cast<double>(planned), 1, 0.05);
  Session session(read_plan(folder / "p"), folder / "p");
  session.initialize(1);
  expect_whole_arena_used(session, "train");
}

} // namespace
} // namespace netc::test
