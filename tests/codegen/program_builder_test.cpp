// What a program's buffers are called.

#include "tests/support/device_graphs.h"

#include <gtest/gtest.h>

namespace netc::test {
namespace {

TEST(ProgramBuilder, OutputsKeepTheirNamesWhateverLayersAreCalled) {
  std::vector<Graph> graphs;
  graphs.push_back(parse_graph(R"(graph names {
  %x = feed() {dtype = "f32", shape = [8]} : f32[8]
  %top1 = relu(%x) : f32[8]
  %y = sigmoid(%top1) : f32[8]
  output top1 = %y
}
)"));
  Plan plan;
  KernelSet kernels;
  add_programs(plan, graphs, "eval", false, kernels);
  const Program& program = plan.programs.at(0);
  const int output = program.find("top1"), layer = program.find("top1.value");
  ASSERT_GE(output, 0);
  ASSERT_GE(layer, 0);
  EXPECT_EQ(program.buffers[static_cast<size_t>(output)].place, Place::output);
  EXPECT_EQ(program.buffers[static_cast<size_t>(layer)].place, Place::arena);
}

} // namespace
} // namespace netc::test
