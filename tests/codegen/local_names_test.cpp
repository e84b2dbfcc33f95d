// What operators call their variables is theirs to choose: it clashes neither with what kernels
// call their own, nor with another operator's.

#include "codegen/lowering.h"
#include "codegen/printer.h"
#include "ir/lowering.h"
#include "ir/ops.h"
#include "tests/support/device_graphs.h"

#include <gtest/gtest.h>

namespace netc::test {
namespace {

using kernel::Expr;
using kernel::Run;

/// What kernels of pixels call their loops and variables, and how they go on counting.
const char* const names[] = {"item",    "end",     "part",        "tile",  "first_pixel", "i",
                             "run",     "slot",    "first_block", "pixel", "n",           "block",
                             "block_h", "block_w", "h",           "w",     "c",           "x",
                             "y",       "x_1",     "y_1",         "row",   "column",      "shared"};

/// Doubles in a variable of each of the names.
std::vector<Run> doubled(kernel::RunContext& c) {
  Run run = c.here(0, c.first, c.count);
  for (Expr& e : run)
    for (const char* name : names)
      e = c.let(name, e * Expr(2.0));
  return {run};
}

std::vector<Run> doubled_as_shown(kernel::RunContext& c) {
  Run run = c.shared(0, c.first, c.count);
  for (Expr& e : run)
    for (const char* name : names)
      e = c.let(name, e * Expr(2.0));
  return {run};
}

void doubled_pixel(kernel::PixelContext& c) {
  c.body.loop(kernel::StmtKind::lanes, c.local("c"), 0, 8, [&](Expr channel, kernel::Body& lane) {
    Expr e = c.here(0, channel);
    for (const char* name : names)
      e = lane.let(c.local(name), e * Expr(2.0));
    c.store(lane, 0, channel, e);
  });
}

int64_t one_tap(const Node&) {
  return 1;
}

OpDef doubling(const PixelLowering& lowering) {
  OpDef op = ops::relu;
  op.lower = lowering;
  return op;
}

TEST(LocalNames, AreGivenOutOnce) {
  const OpDef pixels = doubling({.pixel = doubled_pixel}),
              runs = doubling({.pixel = doubled_pixel, .run = doubled, .taps = one_tap}),
              tiles = doubling({.pixel = doubled_pixel,
                                .run = doubled_as_shown,
                                .taps = one_tap,
                                .reach = Reach::shared,
                                .show = doubled});
  for (const char* target : {"cpu", "cuda:sm_90"})
    for (const OpDef* op : {&pixels, &runs, &tiles}) {
      Graph graph("names");
      GraphBuilder builder(graph);
      Value* x = builder.value(ops::feed, "x", {}, type_of({DType::f32, {2, 8, 3, 3}}));
      const Value* y = builder.value(*op, "y", {x});
      for (const auto& node : graph.nodes)
        node->result()->layout = Layout::nhwc;
      const LoweringOptions options{.target = parse_target(target), .choose = nullptr};
      const LoweredNode lowered = lower(
          *y->node, [](const Value&) { return true; }, options);
      EXPECT_NO_THROW(verify(lowered.kernel)) << print(lowered.kernel);
      const std::string text =
          print_kernel(lowered, dialect_of(options.target), false, 48 << 10).text;
      EXPECT_EQ(text.find("float item "), text.npos) << text;
    }
}

} // namespace
} // namespace netc::test
