// Programs of several devices: their text, what the verifier asks of parts and exchanges, and
// whether programs fit together.

#include "ir/program.h"
#include "tests/ir/text_fuzz.h"

#include <gtest/gtest.h>

#include <functional>

namespace netc {
namespace {

/// Of two devices: a batch cut in two, a gradient that is summed, a weight that is cut.
const char* const example[] = {
    R"(program train from "net.yaml" {
  arena 128 at least 128
  %images : f32[2,8] feed 64 part [0:2, 0:8] of [4, 8] live 0..-1
  %w : f32[4,8] state 128 part [0:4, 0:8] of [6, 8] live 0..-1
  %partial : f32[8] arena 32 at 0 live 0..1
  %sum : f32[8] arena 32 at 0 alias %partial live 1..1
  %y : f32[2,8] output 64 part [0:2, 0:8] of [4, 8] live 0..-1
  exchange gradient : f32[8] from "sum [0:8] | [0:8]" to "[0:8] | [0:8]"
  exchange "to one" : f32[2,8] from "[0:2, 0:8] | -" to "- | [0:2, 0:8]"
  step work(in %images, in %w, out %partial, out %y) "work" @1:2
  step exchange 0(in %partial, out %sum) "gradient: exchange" @1:2
  step exchange 1(in %images) "to one: exchange"
}
)",
    R"(program train device 1 from "net.yaml" {
  arena 128 at least 128
  %images : f32[2,8] feed 64 part [2:4, 0:8] of [4, 8] live 0..-1
  %w : f32[2,8] state 64 part [4:6, 0:8] of [6, 8] live 0..-1
  %partial : f32[8] arena 32 at 0 live 0..1
  %sum : f32[8] arena 32 at 64 live 1..1
  %y : f32[2,8] output 64 part [2:4, 0:8] of [4, 8] live 0..-1
  %got : f32[2,8] arena 64 at 0 live 2..2
  exchange gradient : f32[8] from "sum [0:8] | [0:8]" to "[0:8] | [0:8]"
  exchange "to one" : f32[2,8] from "[0:2, 0:8] | -" to "- | [0:2, 0:8]"
  step work(in %images, in %w, out %partial, out %y) "work" @1:2
  step exchange 0(in %partial, out %sum) "gradient: exchange" @1:2
  step exchange 1(out %got) "to one: exchange"
}
)"};

std::string trip(const std::string& source) {
  return print(parse_program(source));
}

TEST(DeviceProgramText, RoundTrips) {
  for (const char* text : example)
    EXPECT_EQ(trip(text), text);
  Program program = parse_program(example[1]);
  EXPECT_EQ(program.device, 1);
  EXPECT_EQ(program.buffers[1].whole, (Shape{6, 8}));
  EXPECT_EQ(program.buffers[1].part, (Box{{4, 6}, {0, 8}}));
  EXPECT_EQ(program.buffers[3].box(), (Box{{0, 8}}));
  ASSERT_EQ(program.exchanges.size(), 2u);
  EXPECT_EQ(program.exchanges[0].from.combine, Combine::sum);
  EXPECT_EQ(program.exchanges[1].name, "to one");
  EXPECT_EQ(program.steps[2].exchange, 1);
  EXPECT_EQ(program.steps[2].kernel, "");
  EXPECT_EQ(program.steps[0].exchange, -1);
  const char* kernel = "program p {\n  arena 0 at least 0\n  step exchange() \"\"\n}\n";
  EXPECT_EQ(trip(kernel), kernel) << "a kernel of that name";
}

TEST(DeviceProgramText, SurvivesDamage) {
  fuzz(example[0], 3000, trip);
}

TEST(DeviceProgramText, BlamesAPlace) {
  auto says = [](const std::string& line, const std::string& part) {
    std::string message = message_of<UserError>(
        [&] { parse_program("program p {\n arena 0 at least 0\n" + line + "\n}", "p.txt"); });
    EXPECT_NE(message.find(part), message.npos) << message;
  };
  says("%a : f32[2] feed 8 part [0:3] of [4] live 0..1",
       "p.txt:3:25: error: [0:3] is no part of [4] that is a f32[2]");
  says("%a : f32[2] feed 8 part [3:5] of [4] live 0..1", "[3:5] is no part of [4]");
  says("%a : f32[2] feed 8 part [0:2] of [4, 4] live 0..1", "[0:2] is no part of [4, 4]");
  says("%a : f32[2] feed 8 part [2:0] of [4] live 0..1", "is no part of [4]");
  says("%a : f32[2] feed 8 part 0:2 of [4] live 0..1", "p.txt:3:25: error: expected `[`");
  says("exchange e : f32[8] from \"sum\" to \"[0:8]\"", "p.txt:3:26: error: expected a sharding");
  says("exchange e : f32[8] from \"[0:8]\" to [0:8]", "p.txt:3:37: error: expected a sharding");
  says("step exchange -1() \"\"", "p.txt:3:15: error: expected the number of an exchange");
}

/// What the verifier says of a changed program of device 1.
void expect_rejected(const std::function<void(Program&)>& change, const std::string& reason) {
  Program program = parse_program(example[1]);
  ASSERT_NO_THROW(verify(program));
  change(program);
  std::string message = message_of<InternalError>([&] { verify(program); });
  EXPECT_NE(message.find("program `train` " + reason), message.npos)
      << "wanted: " << reason << "\ngot: " << message;
}

enum Names { images, w, partial, sum, y, got };

TEST(DeviceProgramVerify, PartsFitTheirTensors) {
  expect_rejected([](Program& p) { p.buffers[w].part[0] = {5, 7}; }, "has `w` at [5:7, 0:8]");
  expect_rejected([](Program& p) { p.buffers[w].part[0] = {3, 6}; }, "has `w` (f32[2,8]) at");
  expect_rejected([](Program& p) { p.buffers[w].part.pop_back(); }, "has `w` at [4:6]");
  expect_rejected(
      [](Program& p) {
        p.buffers[sum].whole = {8}, p.buffers[sum].part = {{0, 8}};
      },
      "has `sum` as a part of a tensor, in the arena");
}

TEST(DeviceProgramVerify, ExchangesFitTheirBuffers) {
  expect_rejected([](Program& p) { p.steps[1].buffers[1] = got; },
                  "has step 1 (``) on `got`, live in 2..2");
  expect_rejected(
      [](Program& p) {
        p.exchanges[0].from.boxes[1] = {{0, 4}};
      },
      "has step 1 of the exchange `gradient` with `partial` (f32[8]) for [0:4]");
  expect_rejected(
      [](Program& p) {
        p.exchanges[0].to.boxes[1] = {{0, 9}};
      },
      "has the exchange `gradient` of f32[8] with [0:9]");
  expect_rejected([](Program& p) { p.exchanges[0].to.combine = Combine::sum; },
                  "has the exchange `gradient`, which leaves partial results");
  expect_rejected([](Program& p) { p.exchanges[0].to.boxes.pop_back(); },
                  "has the exchange `gradient` between 2 and 1 devices");
  expect_rejected([](Program& p) { p.steps[2].buffers = {}, p.steps[2].access = {}; },
                  "has step 2 of the exchange `to one` without an `out`");
  expect_rejected([](Program& p) { p.exchanges[1].to.boxes[1] = {}; },
                  "has step 2 of the exchange `to one` with 1 buffers, expected 0");
}

TEST(DeviceProgramVerify, EachExchangeHasOneStepInOrder) {
  expect_rejected([](Program& p) { p.steps.pop_back(), p.buffers.pop_back(); },
                  "has 2 exchanges, 1 steps");
  expect_rejected([](Program& p) { p.steps[1].exchange = 1; },
                  "has step 1 for exchange 1, expected 0 of 2");
  expect_rejected([](Program& p) { p.exchanges.pop_back(); },
                  "has step 2 for exchange 1, expected 1 of 1");
  expect_rejected([](Program& p) { p.steps[1].kernel = "work"; },
                  "has step 1 without a kernel or exchange, or both");
}

/// What check_exchanges says after a change of either program.
std::string verdict(const std::function<void(Program&, Program&)>& change) {
  Program a = parse_program(example[0]), b = parse_program(example[1]);
  change(a, b);
  return message_of<RuntimeError>([&] { check_exchanges({&a, &b}); });
}

void expect_misfit(const std::function<void(Program&, Program&)>& change,
                   const std::string& reason) {
  std::string message = verdict(change);
  EXPECT_NE(message.find(reason), message.npos) << "wanted: " << reason << "\ngot: " << message;
}

void drop_last(Program& p) {
  p.exchanges.pop_back();
  p.steps.pop_back();
}

TEST(CheckExchanges, AcceptsWhatFits) {
  EXPECT_EQ(verdict([](Program&, Program&) {}), "");
  Program alone = parse_program("program p {\n  arena 0 at least 0\n}\n");
  EXPECT_NO_THROW(check_exchanges({&alone}));
}

TEST(CheckExchanges, TellsWhatDiffers) {
  expect_misfit([](Program&, Program& b) { drop_last(b); },
                "`train` of device 1 has 1 exchanges, device 0 has 2: `to one` is the first");
  expect_misfit([](Program& a, Program&) { drop_last(a); },
                "`train` of device 1 has 2 exchanges, device 0 has 1: `to one` is the first");
  expect_misfit(
      [](Program&, Program& b) {
        std::swap(b.exchanges[0], b.exchanges[1]);
        std::swap(b.steps[1], b.steps[2]);
      },
      "`train` of device 1 has `to one` as exchange 0, device 0 has `gradient`");
  expect_misfit([](Program&, Program& b) { b.exchanges[0].from.combine = Combine::max; },
                "`train` of device 1 has exchange 0 (`gradient`) from `max [0:8] | [0:8]`, device "
                "0 has `sum [0:8] | [0:8]`");
  expect_misfit(
      [](Program&, Program& b) {
        b.exchanges[1].to.boxes[1] = {{0, 2}, {0, 4}};
      },
      "`train` of device 1 has exchange 1 (`to one`) to `- | [0:2, 0:4]`");
  expect_misfit(
      [](Program&, Program& b) {
        b.exchanges[1].type.shape = {4, 8};
      },
      "`train` of device 1 has f32[4,8] in exchange 1 (`to one`), device 0 has f32[2,8]");
  expect_misfit(
      [](Program&, Program& b) {
        b.buffers[got].type.shape = {8, 2};
      },
      "`train` of device 1 is not sound: ");
  expect_misfit([](Program&, Program& b) { b.device = 0; },
                "`train` of device 0 stands where device 1 is expected");
}

TEST(CheckExchanges, PartsMakeUpTheirTensor) {
  expect_misfit(
      [](Program&, Program& b) {
        b.buffers[w].whole = {8, 8};
      },
      "has `w` as a part of f32 8x8, device 0 of f32 6x8");
  expect_misfit(
      [](Program&, Program& b) {
        b.buffers[w].part[0] = {3, 5};
      },
      "those of the other devices lack [5:6, 0:8] of `state w`");
  expect_misfit(
      [](Program&, Program& b) {
        b.buffers[y].part[0] = {0, 2};
      },
      "lack [2:4, 0:8] of `output y`");
  EXPECT_EQ(verdict([](Program&, Program& b) {
              b.buffers[images].part[0] = {1, 3};
            }),
            "")
      << "of a feed a part may be needed by nobody";
}

TEST(CheckExchanges, SomebodyHoldsWhatIsWanted) {
  for (size_t cut : {0, 1}) // of the columns, or of the rows
    expect_misfit(
        [&](Program& a, Program& b) {
          a.buffers[images].part[cut].end = a.buffers[images].type.shape[cut] = 1;
          for (Program* p : {&a, &b})
            p->exchanges[1].from.boxes[0][cut].end = 1;
        },
        cut ? "`train` of device 1 gets [0:2, 1:8] of the exchange `to one`, which nobody holds"
            : "`train` of device 1 gets [1:2, 0:8] of the exchange `to one`, which nobody holds");
  expect_misfit(
      [](Program& a, Program& b) {
        a.buffers[partial].type.shape[0] = b.buffers[partial].type.shape[0] = 7;
        a.buffers[sum].alias = -1, a.buffers[sum].offset = 64;
        for (Program* p : {&a, &b})
          p->exchanges[0].from.boxes = {{{0, 7}}, {{0, 7}}};
      },
      "`train` of device 0 gets [7:8] of the exchange `gradient`, which nobody holds");
}

TEST(CheckExchanges, InPlaceIsTheSamePart) {
  expect_misfit(
      [](Program& a, Program& b) {
        a.buffers[partial].type.shape[0] = a.buffers[sum].type.shape[0] = 4;
        for (Program* p : {&a, &b}) {
          p->exchanges[0].from.boxes[0] = {{0, 4}};
          p->exchanges[0].to.boxes[0] = {{4, 8}};
        }
      },
      "`train` of device 0 has [4:8] of the exchange `gradient` in place of [0:4]");
}

TEST(CheckExchanges, NoPartialResultIsAnOutput) {
  auto change = [](Program&, Program& b) {
    b.buffers[partial] = {
        .name = "partial", .type = {DType::f32, {8}}, .place = Place::output, .bytes = 32};
  };
  expect_misfit(change, "has `partial`, whose partial results the exchange `gradient` combines, as "
                        "output");
}

} // namespace
} // namespace netc
