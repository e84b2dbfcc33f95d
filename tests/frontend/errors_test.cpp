// Every file of errors/ is wrong; its golden text is all that netc says about it.

#include "frontend/network.h"
#include "tests/support/golden.h"

namespace netc {
namespace {

std::vector<std::string> bad_files() {
  std::vector<std::string> stems;
  for (const auto& entry :
       std::filesystem::directory_iterator(test::source_root() / "tests/frontend/errors"))
    if (entry.path().extension() == ".yaml")
      stems.push_back(entry.path().stem().string());
  std::sort(stems.begin(), stems.end());
  return stems;
}

class BadFile : public testing::TestWithParam<std::string> {};

TEST_P(BadFile, IsExplained) {
  const std::string base = "tests/frontend/errors/" + GetParam();
  Diagnostics diagnostics;
  auto network = parse_network(test::read_text(test::source_root() / (base + ".yaml")),
                               GetParam() + ".yaml", diagnostics);
  EXPECT_EQ(network.has_value(), !diagnostics.has_errors());
  if (network)
    build_forward(*network, network->recipe.train.batch, diagnostics);
  EXPECT_TRUE(diagnostics.has_errors());
  test::expect_golden(base + ".expected", diagnostics.render());
}

INSTANTIATE_TEST_SUITE_P(Frontend, BadFile, testing::ValuesIn(bad_files()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(BadFiles, EveryGoldenTextHasItsFile) {
  for (const auto& entry :
       std::filesystem::directory_iterator(test::source_root() / "tests/frontend/errors"))
    EXPECT_TRUE(
        std::filesystem::exists(std::filesystem::path(entry.path()).replace_extension("yaml")))
        << entry.path();
}

} // namespace
} // namespace netc
