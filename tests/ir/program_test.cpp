// Program IR: the text form and the verifier.

#include "ir/program.h"
#include "tests/ir/text_fuzz.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>

namespace netc {
namespace {

const char* const example = R"(program train from "net.yaml" {
  arena 1024 at least 900
  %images : u8[4,8] feed 32 live 0..-1
  %conv1.weight : f32[8,8] state 256 live 0..-1
  %a : f32[4,4,2,2] nhwc arena 256 at 0 live 0..1
  %b : f32[4,8] arena 128 at 256 live 1..2
  %"odd name" : f32[4,8] arena 128 at 0 live 2..2
  %b2 : f32[4,8] arena 128 at 256 alias %b live 2..2
  %conv1.weight.new : f32[8,8] state 256 alias %conv1.weight live 0..-1
  %loss : f32[] output 4 live 0..-1
  step conv(in %images, in %conv1.weight, out %a) "conv1 relu1" @7:5
  step pool(in %a, out %b) "pool1" @8:5
  step relu(inout %b2, workspace %"odd name") "" @"other.yaml":1:2
  step update(inout %conv1.weight.new, in %b2, out %loss) ""
}
)";

std::string trip(const std::string& source) {
  return print(parse_program(source));
}

Program valid() {
  std::string source = example;
  // `b` ends where `b2`, written in its place, begins; the update still reads `b2`.
  auto replace = [&](const std::string& from, const std::string& to) {
    source.replace(source.find(from), from.size(), to);
  };
  replace("alias %b live 2..2", "alias %b live 2..3");
  return parse_program(source);
}

TEST(ProgramText, RoundTrips) {
  EXPECT_EQ(trip(example), example);
  Program program = parse_program(example);
  EXPECT_EQ(program.arena_bytes, 1024);
  EXPECT_EQ(program.lower_bound_bytes, 900);
  ASSERT_EQ(program.buffers.size(), 8u);
  EXPECT_EQ(program.buffers[2].layout, Layout::nhwc);
  EXPECT_EQ(program.buffers[6].alias, 1);
  EXPECT_EQ(program.find("odd name"), 4);
  EXPECT_EQ(program.find("nothing"), -1);
  ASSERT_EQ(program.steps.size(), 4u);
  EXPECT_EQ(program.steps[0].loc.str(), "net.yaml:7:5");
  EXPECT_EQ(program.steps[2].loc.str(), "other.yaml:1:2");
  EXPECT_FALSE(program.steps[3].loc.known());
  EXPECT_EQ(program.steps[2].access,
            (std::vector{kernel::Access::inout, kernel::Access::workspace}));
}

TEST(ProgramText, BlamesAPlace) {
  auto says = [](const std::string& line, const std::string& part) {
    std::string message = message_of<UserError>(
        [&] { parse_program("program p {\n arena 0 at least 0\n" + line + "\n}", "p.txt"); });
    EXPECT_NE(message.find(part), message.npos) << message;
  };
  says("%a : f32[2] heap 8", "p.txt:3:13: error: expected `state`, `feed`, `output` or `arena`");
  says("%a : f32[2] arena -8 at 0 live 0..1", "p.txt:3:19: error: expected a size");
  says("%a : f32[2] arena 8 live 0-1", "expected a live range, got `0-1`");
  says("step k(in %a) \"\"", "p.txt:3:11: error: no buffer of this name above");
  says("step k() \"\" @1:2", "a place without a file");
  says("%a : f32[99999999999,99999999999] arena 8 live 0..1", "the type is too large");
  says("%a : u8[1] feed 8 live 0..1 %a : u8[1] feed 8 live 0..1", "a second buffer of this name");
}

TEST(ProgramText, SurvivesDamage) {
  fuzz(example, 5000, trip);
}

const char* const state_example = R"(state {
  %conv1.weight : f32[96,3,11,11] gaussian 0.01 fan 363 11616 trainable rate 1.0 decay 1.0
  %conv1.bias : f32[96] constant 0.0 fan 1 1 trainable rate 2.0 decay 0.0
  %input.mean : f32[3] data_mean 0.0 fan 1 1 fixed rate 1.0 decay 1.0
}
)";

TEST(StateText, RoundTrips) {
  std::vector<StateInit> state = parse_state(state_example);
  EXPECT_EQ(print(state), state_example);
  ASSERT_EQ(state.size(), 3u);
  EXPECT_EQ(state[0].name, "conv1.weight");
  EXPECT_EQ(state[0].type.str(), "f32[96,3,11,11]");
  EXPECT_EQ(state[0].init, "gaussian");
  EXPECT_EQ(state[0].scale, 0.01);
  EXPECT_EQ(state[0].fan_in, 363);
  EXPECT_EQ(state[0].fan_out, 11616);
  EXPECT_TRUE(state[0].trainable);
  EXPECT_EQ(state[1].rate, 2);
  EXPECT_EQ(state[1].decay, 0);
  EXPECT_FALSE(state[2].trainable);
  EXPECT_EQ(print(std::vector<StateInit>{}), "state {\n}\n");
}

TEST(StateText, SurvivesDamage) {
  fuzz(state_example, 5000, [](const std::string& s) { return print(parse_state(s)); });
}

/// What the verifier says after `change`.
std::string verdict(const std::function<void(Program&)>& change) {
  Program program = valid();
  change(program);
  return message_of<InternalError>([&] { verify(program); });
}

void expect_rejected(const std::function<void(Program&)>& change, const std::string& reason) {
  std::string message = verdict(change);
  EXPECT_NE(message.find("program `train` " + reason), message.npos)
      << "wanted: " << reason << "\ngot: " << message;
}

enum Names { images, weight, a, b, odd, b2, weight_new, loss };

TEST(ProgramVerify, AcceptsValidPrograms) {
  EXPECT_EQ(verdict([](Program&) {}), "");
  EXPECT_EQ(verdict([](Program& p) { p = Program{.name = "empty"}; }), "");
}

TEST(ProgramVerify, ArenaBuffersAreAlignedAndInside) {
  expect_rejected([](Program& p) { p.buffers[a].offset = 32; },
                  "has `a` at offset 32, not aligned");
  expect_rejected([](Program& p) { p.buffers[a].offset = 832; },
                  "has `a` at 832, 256 bytes, outside");
  expect_rejected([](Program& p) { p.buffers[a].offset = -64; }, "has `a` at offset -64");
  expect_rejected([](Program& p) { p.buffers[a].bytes = INT64_MAX; }, "has `a` at 0");
  expect_rejected([](Program& p) { p.buffers[a].bytes = 255; }, "has `a` (f32[4,4,2,2]) in 255");
  expect_rejected([](Program& p) { p.buffers[weight].offset = 64; },
                  "has `conv1.weight` at an offset");
  expect_rejected([](Program& p) { p.lower_bound_bytes = 1025; }, "needs at least 1025 bytes");
}

TEST(ProgramVerify, LiveBuffersAreApart) {
  expect_rejected([](Program& p) { p.buffers[odd].offset = 320; }, "has `b` and `odd name` in");
  expect_rejected([](Program& p) { p.buffers[a].last_step = 2; }, "has `a` and `odd name` in");
  expect_rejected([](Program& p) { p.buffers[a].offset = 64; }, "has `a` and `b` in");
}

TEST(ProgramVerify, BuffersAreLiveWhereUsed) {
  expect_rejected([](Program& p) { p.buffers[a].last_step = 0; }, "has step 1 (`pool`) on `a`");
  expect_rejected([](Program& p) { p.buffers[b].last_step = 4; },
                  "has `b` live in 1..4 of 4 steps");
  expect_rejected([](Program& p) { p.buffers[b].first_step = 3; }, "has `b` live in 3..2");
}

TEST(ProgramVerify, BuffersExistAndHaveOneName) {
  expect_rejected([](Program& p) { p.steps[1].buffers[0] = 8; },
                  "has step 1 (`pool`) on a buffer 8");
  expect_rejected([](Program& p) { p.steps[1].buffers[0] = -1; },
                  "has step 1 (`pool`) on a buffer");
  expect_rejected([](Program& p) { p.buffers[b].name = p.buffers[a].name; },
                  "two buffers are named `a`");
  expect_rejected([](Program& p) { p.steps[1].access.pop_back(); }, "has step 1 (`pool`) with 2");
  expect_rejected([](Program& p) { p.steps[1].kernel.clear(); }, "has step 1 without a kernel");
}

TEST(ProgramVerify, BuffersAreWrittenBeforeTheyAreRead) {
  expect_rejected([](Program& p) { p.steps[0].access[2] = kernel::Access::in; },
                  "has step 0 (`conv`) read `a` before it is written");
  expect_rejected([](Program& p) { p.steps[0].access[2] = kernel::Access::inout; },
                  "has step 0 (`conv`) read `a` before it is written");
  expect_rejected([](Program& p) { p.steps[3].access[2] = kernel::Access::in; },
                  "has step 3 (`update`) read `loss` before it is written");
}

TEST(ProgramVerify, FeedsAreReadOnly) {
  expect_rejected([](Program& p) { p.steps[0].access[0] = kernel::Access::out; },
                  "has step 0 (`conv`) write the feed `images`");
}

TEST(ProgramVerify, WorkspacesLieInTheArena) {
  expect_rejected([](Program& p) { p.steps[3].access[2] = kernel::Access::workspace; },
                  "has step 3 (`update`) with the workspace `loss` outside");
}

TEST(ProgramVerify, AliasesShareTheirPlace) {
  expect_rejected([](Program& p) { p.buffers[weight].alias = weight_new; },
                  "has `conv1.weight` as an alias of a later");
  expect_rejected([](Program& p) { p.buffers[b2].offset = 512; }, "has `b2` elsewhere than `b`");
  expect_rejected([](Program& p) { p.buffers[weight_new].bytes = 512; },
                  "has `conv1.weight.new` elsewhere");
  expect_rejected([](Program& p) { p.buffers[b].last_step = 3; },
                  "has `b2` written in place of `b`, which is still live");
  expect_rejected(
      [](Program& p) {
        p.steps.push_back({"late", {weight}, {kernel::Access::in}});
      },
      "has step 4 (`late`) use `conv1.weight` after it was overwritten in place");
}

Program random_program(unsigned seed) {
  std::mt19937 random(seed);
  auto pick = [&](size_t n) { return static_cast<int>(random() % n); };
  auto file = std::make_shared<SourceFile>(SourceFile{"my net.yaml", {}});
  auto other = std::make_shared<SourceFile>(SourceFile{"other.yaml", {}});
  Program program{.name = pick(2) ? "train" : "a b"};
  program.arena_bytes = pick(100000);
  program.lower_bound_bytes = pick(1000);
  for (int i = 0; i < 20; ++i) {
    Buffer b{.name = fmt::format("{}{}", pick(2) ? "layer." : "\"\n", i)};
    b.type.dtype = static_cast<DType>(pick(4));
    for (int rank = pick(5); rank > 0; --rank)
      b.type.shape.push_back(pick(1000));
    b.layout = static_cast<Layout>(pick(2));
    b.place = static_cast<Place>(pick(4));
    b.offset = pick(3) * 64;
    b.bytes = pick(5000);
    b.alias = pick(3) ? -1 : pick(static_cast<size_t>(i) + 1) - 1;
    b.first_step = pick(9);
    b.last_step = pick(9) - 1;
    program.buffers.push_back(b);
  }
  for (int i = 0; i < 10; ++i) {
    Step s{.kernel = fmt::format("kernel{}", i)};
    for (int n = pick(5); n > 0; --n) {
      s.buffers.push_back(pick(20));
      s.access.push_back(static_cast<kernel::Access>(pick(4)));
    }
    s.label = pick(2) ? "conv1 relu1" : "\\ \"";
    if (pick(3))
      s.loc = {pick(2) ? file : other, pick(50), pick(50)};
    program.steps.push_back(s);
  }
  return program;
}

TEST(ProgramText, RoundTripsRandomPrograms) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::string printed = print(random_program(seed));
    ASSERT_EQ(trip(printed), printed);
  }
}

} // namespace
} // namespace netc
