// Damaged and hostile files end in errors, never in anything else, and quickly.

#include "frontend/network.h"
#include "tests/support/golden.h"

#include <chrono>
#include <random>

namespace netc {
namespace {

/// Whether the text is accepted; an exception fails the test, and so does a silent refusal.
bool accepts(const std::string& text) {
  Diagnostics diagnostics;
  auto network = parse_network(text, "net.yaml", diagnostics);
  EXPECT_EQ(network.has_value(), !diagnostics.has_errors());
  if (network)
    build_forward(*network, 2, diagnostics);
  diagnostics.render();
  return !diagnostics.has_errors();
}

std::string model() {
  return test::read_text(test::source_root() / "models/alexnet-small.yaml");
}

TEST(Robustness, EveryTruncationOfAModel) {
  const std::string text = model();
  for (size_t length = 0; length < text.size(); length += 7)
    accepts(text.substr(0, length));
  EXPECT_TRUE(accepts(text));
}

TEST(Robustness, DamagedModels) {
  const std::string text = model();
  const std::string interesting = "{}[]:,-#&*!|>'\"%@`? \n\t0123456789.eE~<\\\xff\x01";
  std::mt19937 random(1);
  auto below = [&](size_t limit) { return random() % limit; };
  for (int round = 0; round < 3000; ++round) {
    std::string damaged = text;
    for (size_t edits = 1 + below(4); edits-- > 0;) {
      size_t at = below(damaged.size());
      char c = interesting[below(interesting.size())];
      if (below(3) == 0)
        damaged.erase(at, 1 + below(8));
      else if (below(2) == 0)
        damaged.insert(at, 1 + below(3), c);
      else
        damaged[at] = c;
    }
    accepts(damaged);
  }
}

TEST(Robustness, SwappedWords) {
  const std::string text = model();
  const std::string words[] = {"-1",
                               "0",
                               "99999999999999999999",
                               "1e300",
                               "4611686018427387904",
                               "nan",
                               "relu",
                               "[1, 2, 3]",
                               "{a: b}",
                               "\"\"",
                               "*x",
                               "~",
                               "true",
                               "65536"};
  std::mt19937 random(2);
  for (int round = 0; round < 2000; ++round) {
    std::string changed = text;
    size_t begin = changed.find(": ", random() % changed.size());
    if (begin == std::string::npos)
      continue;
    size_t end = changed.find_first_of(",}\n", begin);
    changed.replace(begin + 2, end - begin - 2, words[random() % std::size(words)]);
    accepts(changed);
  }
}

TEST(Robustness, HostileFilesEndQuickly) {
  auto repeat = [](const std::string& part, size_t count) {
    std::string text;
    for (size_t i = 0; i < count; ++i)
      text += part;
    return text;
  };
  std::string keys = "name: net\n", layers = "name: n\ninput: {channels: 1, height: 8, width: 8}\n"
                                             "layers:\n";
  for (int i = 0; i < 40'000; ++i)
    keys += fmt::format("key{}: 1\n", i);
  for (int i = 0; i < 12'000; ++i)
    layers += fmt::format("- {{name: layer{}, type: relu, from: layre{}}}\n", i, i);
  const std::string files[] = {std::string(2 << 20, 'a'),
                               std::string(1'000'000, '['),
                               std::string(1'000'000, '{'),
                               std::string(1'000'000, '-'),
                               std::string(1'000'000, ' '),
                               std::string(1'000'000, '\n'),
                               std::string(1'000'000, '"'),
                               std::string(1'000'000, 'a'),
                               repeat("- ", 400'000),
                               repeat("? ", 400'000),
                               repeat("a: ", 300'000),
                               repeat("a:\n", 300'000),
                               repeat("[a, ", 200'000),
                               repeat("&a ", 300'000),
                               repeat("!a ", 300'000),
                               repeat("%a\n", 300'000),
                               repeat("---\n", 200'000),
                               "x: " + repeat("\"a\" ", 200'000),
                               keys,
                               layers};
  for (const std::string& text : files) {
    auto start = std::chrono::steady_clock::now();
    EXPECT_FALSE(accepts(text)) << text.substr(0, 40);
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    EXPECT_LT(seconds.count(), 5) << text.substr(0, 40);
  }
}

TEST(Robustness, ALongNetworkIsFine) {
  std::string text = "name: n\ninput: {channels: 1, height: 8, width: 8}\nlayers:\n";
  for (int i = 0; i < 5'000; ++i)
    text += fmt::format("- {{name: r{}, type: relu}}\n", i);
  EXPECT_TRUE(accepts(text));
}

} // namespace
} // namespace netc
