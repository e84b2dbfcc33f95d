// Pictures of cut steps.

#include "tests/support/cut_steps.h"
#include "tools/driver/strategy.h"
#include "tools/partition/drawing.h"

#include <gmock/gmock.h>

#include <regex>
#include <sstream>

namespace netc::test {
namespace {

/// The sum of the numbers that `pattern` finds, 1 where it finds none in its group.
int sum_of(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  int sum = 0;
  for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it)
    sum += (*it)[1].matched ? std::stoi((*it)[1]) : 1;
  return sum;
}

TEST(PartitionDrawing, EveryExchangeIsDrawnOrCounted) {
  std::ostringstream messages;
  const Network network = load_network("lenet", messages).network;
  const UncutStep uncut = uncut_step(network, {});
  int small = 0;
  for (const char* name : {"data", "filter", "pipeline"}) {
    Strategy strategy = resolve_strategy(name, network, 2);
    strategy.micro_batches = {};
    const CutStep step = uncut.cut(strategy);
    const std::string dot = partition_dot(uncut, step, {"one", "two"});
    const int drawn = sum_of(dot, "shape=diamond.*label=\"[a-z-]+(?: x([0-9]+))?\\\\n");
    const int counted = sum_of(dot, "label=\"not drawn: .* \\(([0-9]+)\\)\"");
    EXPECT_GT(drawn, 0) << dot;
    EXPECT_EQ(drawn + counted, static_cast<int>(exchanges_of(step.graphs[0]).size())) << dot;
    small += counted;
  }
  EXPECT_GT(small, 0);
}

} // namespace
} // namespace netc::test
