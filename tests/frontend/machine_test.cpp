// Files of machines, and the text of a link.

#include "frontend/machine.h"

#include "tests/support/golden.h"

#include <gmock/gmock.h>

namespace netc {
namespace {

const std::string good = "name: pair\n"
                         "devices:\n"
                         "  - {name: Some GPU, count: 2, gflops: 1000, compute_efficiency: 0.5,\n"
                         "     gb_per_second: 100, memory_efficiency: 0.75, launch_us: 5,\n"
                         "     memory_gib: 2, operators: {conv2d: 0.25}}\n"
                         "  - {name: Other, gflops: 1, compute_efficiency: 1, gb_per_second: 1,\n"
                         "     memory_efficiency: 1}\n"
                         "link: {gb_per_second: 6, latency_us: 20, shared: true}\n";

TEST(Machine, IsReadInSecondsAndBytes) {
  Diagnostics diagnostics;
  auto machine = parse_machine(good, "pair.yaml", diagnostics);
  ASSERT_TRUE(machine) << diagnostics.render();
  const DeviceProfile first{.name = "Some GPU",
                            .flops_per_second = 1e12,
                            .compute_efficiency = 0.5,
                            .bytes_per_second = 1e11,
                            .memory_efficiency = 0.75,
                            .launch_seconds = 5e-6,
                            .memory_bytes = int64_t{2} << 30,
                            .operators = {{"conv2d", 0.25}}};
  const DeviceProfile other{.name = "Other", .flops_per_second = 1e9, .bytes_per_second = 1e9};
  const LinkProfile link{20e-6, 6e9, true, true};
  EXPECT_EQ(*machine, (MachineProfile{"pair", {first, first, other}, link}));
}

TEST(Machine, ComesBackFromItsText) {
  Diagnostics diagnostics;
  auto machine = parse_machine(good, "pair.yaml", diagnostics);
  ASSERT_TRUE(machine);
  machine->devices[2].name = "a \"name\": with #, \\ and {";
  machine->devices[2].flops_per_second = 123456789012.0;
  machine->devices[2].launch_seconds = 0.1 / 1e6;
  machine->devices[2].memory_bytes = 123;
  machine->link = {1.7 / 1e6, 3.3 * 1e9, false, false};
  const std::string text = print(*machine);
  auto read = parse_machine(text, "again.yaml", diagnostics);
  ASSERT_TRUE(read) << diagnostics.render() << text;
  EXPECT_EQ(*read, *machine) << text;
  EXPECT_EQ(print(*read), text);
  EXPECT_THAT(text, testing::HasSubstr("count: 2\n    gflops: 1000\n"));
}

struct Mistake {
  const char* what; ///< In the good file ...
  const char* with; ///< ... replaced by this ...
  const char* message;
};

class BadMachine : public testing::TestWithParam<Mistake> {};

TEST_P(BadMachine, IsExplainedAtItsPlace) {
  std::string text = good;
  const std::string what = GetParam().what;
  const size_t at = text.find(what);
  ASSERT_NE(at, std::string::npos);
  text.replace(at, what.size(), GetParam().with);
  Diagnostics diagnostics;
  EXPECT_FALSE(parse_machine(text, "m.yaml", diagnostics));
  EXPECT_THAT(diagnostics.render(), testing::StartsWith(GetParam().message));
  EXPECT_EQ(diagnostics.error_count(), 1);
}

INSTANTIATE_TEST_SUITE_P(
    Frontend, BadMachine,
    testing::Values(
        Mistake{"name: pair", "name: 'a pair'", "m.yaml:1:7: error: `name` of the machine is no "},
        Mistake{"link:", "lnk:",
                "m.yaml:8:1: error: unknown key `lnk` of the machine, did you "
                "mean `link`?"},
        Mistake{"gflops: 1000", "gflop: 1000",
                "m.yaml:3:32: error: unknown key `gflop` of an "
                "entry of `devices`, did you mean `gflops`?"},
        Mistake{"gflops: 1000", "gflops: 0",
                "m.yaml:3:40: error: `gflops` of an entry of "
                "`devices` must be between"},
        Mistake{"count: 2", "count: 64", "m.yaml:3:3: error: the machine has 65 devices, at most "},
        Mistake{"conv2d", "conv2",
                "m.yaml:5:33: error: no operator `conv2`, did you mean "
                "`conv2d`?"},
        Mistake{"{conv2d: 0.25}", "0.25", "m.yaml:5:32: error: `operators` must be a map of "},
        Mistake{"0.25", "1.5", "m.yaml:5:41: error: `conv2d` must be between"},
        Mistake{"shared: true", "shared: 1",
                "m.yaml:8:50: error: `shared` of `link` must be "
                "`true` or `false`, is `1`"}));

TEST(Machine, NeedsDevices) {
  for (const char* devices : {"[]", "2", "{name: x}"}) {
    Diagnostics diagnostics;
    EXPECT_FALSE(
        parse_machine(fmt::format("name: m\ndevices: {}\nlink: {{gb_per_second: 1}}\n", devices),
                      "m.yaml", diagnostics));
    EXPECT_THAT(diagnostics.render(),
                testing::StartsWith("m.yaml:2:10: error: `devices` must be a list of devices"));
  }
}

TEST(Machine, BundledOnesAreRight) {
  int count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(test::source_root() / "models/machines")) {
    Diagnostics diagnostics;
    auto machine =
        parse_machine(test::read_text(entry.path()), entry.path().filename().string(), diagnostics);
    ASSERT_TRUE(machine) << diagnostics.render();
    EXPECT_EQ(machine->name, entry.path().stem().string());
    EXPECT_GE(machine->devices.size(), 2u);
    for (const DeviceProfile& device : machine->devices)
      EXPECT_GT(device.memory_bytes, 0);
    ++count;
  }
  EXPECT_EQ(count, 4);
}

TEST(Link, IsABandwidthAndALatency) {
  const LinkProfile before{1, 2, false, true};
  for (const char* text : {"6GB/s,20us", "20us,6GB/s", " 6 GB/s , 20 us ", "48Gb/s,0.02ms",
                           "6e3MB/s,20000ns", "0.006TB/s,2e-5s"}) {
    LinkProfile link = parse_link(text, before);
    EXPECT_DOUBLE_EQ(link.bytes_per_second, 6e9) << text;
    EXPECT_DOUBLE_EQ(link.latency_seconds, 20e-6) << text;
    EXPECT_FALSE(link.full_duplex);
    EXPECT_TRUE(link.shared);
  }
  EXPECT_EQ(parse_link("300us", before), (LinkProfile{300e-6, 2, false, true}));
  EXPECT_EQ(parse_link("50Gb/s", before), (LinkProfile{1, 6.25e9, false, true}));
}

TEST(Link, IsHeldToTheRangesOfAMachinesFile) {
  for (const char* text : {"1kB/s", "1e9GB/s", "0s", "1000s"}) {
    Diagnostics diagnostics;
    std::optional<MachineProfile> machine = parse_machine(good, "pair.yaml", diagnostics);
    ASSERT_TRUE(machine);
    machine->link = parse_link(text, machine->link);
    EXPECT_TRUE(parse_machine(print(*machine), "again.yaml", diagnostics)) << diagnostics.render();
  }
}

TEST(Link, MistakesAreExplained) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "`` does not begin with a number"},
      {"fast", "`fast` does not begin with a number"},
      {"6", "`6` has no unit"},
      {"6GBs", "`GBs` is no unit"},
      {"6gb/s", "`gb/s` is no unit"},
      {"0GB/s", "`0GB/s` is no bandwidth"},
      {"-1us", "`-1us` is no latency"},
      {"infGB/s", "`infGB/s` is no bandwidth"},
      {"6GB/s,1e308s",
       "`1e308s` is no latency of a link, in us it must be between 0 and 1000000000"},
      {"1e400us", "`1e400us` is no latency of a link, in us it must be between"},
      {"nanus", "`nanus` is no latency"},
      {"1e-300B/s", "`1e-300B/s` is no bandwidth of a link, in GB/s it must be between 1e-06 and"},
      {"2e9GB/s", "`2e9GB/s` is no bandwidth"},
      {"6GB/s,", "`6GB/s,` has a comma without a quantity beside it"},
      {",20us", "`,20us` has a comma without a quantity beside it"},
      {"6GB/s, ,20us", "`6GB/s, ,20us` has a comma without a quantity beside it"},
      {"6GB/s,5MB/s", "`6GB/s,5MB/s` has two bandwidths"},
      {"1us,2us", "`1us,2us` has two latencies"},
  };
  for (const auto& [text, message] : cases)
    try {
      parse_link(text, {});
      ADD_FAILURE() << text;
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(message));
      EXPECT_THAT(error.what(), testing::HasSubstr("for example `6GB/s,20us`"));
    }
}

} // namespace
} // namespace netc
