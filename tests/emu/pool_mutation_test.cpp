// Mistakes in pooling and in normalisation by groups, each operator a kernel.

#include "ir/ops.h"
#include "tests/emu/graph_mutation.h"

#include <cmath>

namespace netc {
namespace {

using namespace test;

struct Geometry {
  Shape x;
  std::vector<int64_t> kernel, stride, pad;
  const char* rounding;
};

/// Windows written out, some partial: a row of padding above, the last over the edges below and on
/// the right. Two windows cover a pixel of every other row.
const Geometry taps{{2, 7, 7, 5}, {3, 2}, {2, 2}, {1, 0, 0, 1}, "ceil"};

/// Windows of more pixels, and pixels under more windows, than are written out.
const Geometry large{{2, 7, 13, 10}, {11, 6}, {2, 1}, {1, 0, 0, 1}, "ceil"};

/// Windows with a row between them, and a column behind the last.
const Geometry gaps{{2, 7, 8, 5}, {2, 2}, {3, 2}, {0, 0, 0, 0}, "floor"};

/// No maximum is that of padding by zeros.
const Draw negative = uniform(-2, -1);

OpCase pooling(const OpDef& op, const Geometry& g, const Draw& draw) {
  Attributes attrs{{"kernel", g.kernel},
                   {"stride", g.stride},
                   {"pad", g.pad},
                   {"rounding", std::string(g.rounding)}};
  if (&op == &ops::avg_pool2d)
    attrs.set("divisor", std::string("clipped"));
  return {&op, {feed(g.x, draw)}, attrs};
}

TEST_F(Mutants, LargestOfTaps) {
  expect_caught(
      operator_subject("max_pool2d", pooling(ops::max_pool2d, taps, negative)),
      {{"maximum of 0", "netc::select(keeps, -3.4028235e+38f, x)", "netc::select(keeps, 0.0f, x)"},
       {"rows above the image are read", "at = netc::max(h * 2 - 1, 0);", "at = h * 2 - 1;"},
       {"rows below the image are read", "at_2 = netc::min(h * 2 + 1, 6)", "at_2 = h * 2 + 1"},
       {"a column behind the last is read", "netc::min(w * 2 + 1, 4)", "netc::min(w * 2 + 1, 5)"},
       {"a tap clamped to the column before", "netc::min(w * 2 + 1, 4)", "netc::min(w * 2 + 1, 2)"},
       {"the row above counts as the first", "(inside && inside_2) == 0", "inside_2 == 0"},
       {"the index of the next tap", "netc::select(keeps_4, where_3, 4)",
        "netc::select(keeps_4, where_3, 5)"},
       {"the last tap left out", "best_5;", "best_4;"},
       {"the index for the first channel", "out1[((n * 4 + h) * 3 + w) * 7 + c]",
        "out1[((n * 4 + h) * 3 + w) * 7]"},
       {"the index without the padding", "h - (at * 2 - 1)", "h - at * 2"},
       {"the gradient of another image", "x_2 = in0[((n * 4 + at) * 3 + first_1) * 7 + c];",
        "x_2 = in0[(at * 3 + first_1) * 7 + c];"},
       {"the first window's number", "first = netc::max(h, 0) / 2;", "first = (h + 1) / 2;"},
       {"windows behind the last are read",
        "at = netc::min(first + 1, netc::min((h + 1) / 2 + 1, 4) - 1);", "at = first + 1;"},
       {"a window counted twice", "netc::select(inside, (h", "netc::select(1, (h"},
       {"the first window left out", "sum_1 = sum + ", "sum_1 = "}});
}

TEST_F(Mutants, AveragesOfTaps) {
  expect_caught(
      operator_subject("avg_pool2d", pooling(ops::avg_pool2d, taps, negative)),
      {{"the padding counts", "7) - netc::max(h * 2 - 1, 0)", "7) - (h * 2 - 1)"},
       {"a sum that begins at one", "sum = netc::select", "sum = 1.0f + netc::select"},
       {"the first row twice", "inside = 1 <= h * 2;", "inside = 1;"},
       {"the last row left out", "inside_1 = h * 2 < 6;", "inside_1 = h * 2 < 4;"},
       {"a row above", "sum + netc::select(inside && inside_2,", "sum + netc::select(inside_2,"},
       {"a row below", "sum_4 + netc::select(inside_1 && inside_2,",
        "sum_4 + netc::select(inside_2,"},
       {"a column on the right", "sum_4 + netc::select(inside_1 && inside_2,",
        "sum_4 + netc::select(inside_1,"},
       {"the last tap left out", "sum_5 * weight", "sum_4 * weight"},
       {"the first window's weight", "netc::min(at * 2 - 1 + 3, 7)",
        "netc::min(first * 2 - 1 + 3, 7)"},
       {"a window counted twice", "netc::select(inside, x_1", "netc::select(1, x_1"},
       {"one window left out", "7 + c] = sum_1;", "7 + c] = sum;"}});
}

/// Equals in most windows, NaN in some. Only the index and the gradient are results: numbers, both.
Subject equals_and_nan(const std::string& name, const Geometry& geometry) {
  const Draw mixed = [](size_t count, Random& random) {
    std::vector<double> list = integers(0, 2)(count, random);
    for (size_t i = 0; i < count; i += 31)
      list[i] = NAN;
    return list;
  };
  const auto built =
      std::make_shared<CaseGraph>(build_cases({pooling(ops::max_pool2d, geometry, mixed)}));
  const Value* largest = built->cases[0].node->result();
  std::erase_if(built->graph.outputs, [&](const auto& output) { return output.value == largest; });
  return graph_subject(
      name, emu_options(false),
      [=](const RunOptions& options) { return prepare_graph(built->graph, options); },
      built->inputs);
}

TEST_F(Mutants, EqualsAndNan) {
  expect_caught(equals_and_nan("equals and NaN in taps", taps),
                {{"the last of equals", "x_5 <= best_4", "x_5 < best_4"},
                 {"a NaN that a number follows", " || best_4 != best_4", ""},
                 {"a NaN behind a number", "x_3 <= best_2", "!(x_3 > best_2)"},
                 {"a NaN in the first place", "x <= -3.4028235e+38f", "!(x > -3.4028235e+38f)"}});
  expect_caught(
      equals_and_nan("equals and NaN in loops", large),
      {{"the last of equals", "x <= old || old != old, place", "x < old || old != old, place"},
       {"a NaN that a number follows", " || old != old, old, x", ", old, x"}});
}

TEST_F(Mutants, PixelsUnderNoWindow) {
  expect_caught(
      operator_subject("max_pool2d with gaps", pooling(ops::max_pool2d, gaps, negative)),
      {{"windows behind the last are read", "at_1 = netc::min(first_1, 1)", "at_1 = first_1"},
       {"the column behind the last counts", "own = netc::select(inside && inside_1,",
        "own = netc::select(inside,"},
       {"rows of one window only", "first < netc::min(h / 3 + 1, 3)",
        "first < netc::min(h / 3 + 1, 1)"}});
  expect_caught(operator_subject("avg_pool2d with gaps", pooling(ops::avg_pool2d, gaps, negative)),
                {{"the row between windows counts", "netc::select(inside && inside_1, x",
                  "netc::select(inside_1, x"}});
}

TEST_F(Mutants, LargeWindows) {
  expect_caught(
      operator_subject("max_pool2d by loops", pooling(ops::max_pool2d, large, negative)),
      {{"maximum of 0", "best[c] = -3.4028235e+38f;", "best[c] = 0.0f;"},
       {"no first index", "where[c] = 0;", ""},
       {"indices over the maxima", "(32 + netc::warp() * 64, 7)", "(32 + netc::warp() * 32, 7)"},
       {"maxima of all warps in one place", "(0 + netc::warp() * 64, 7)", "(0, 7)"},
       {"rows above the image", "r = netc::max(h * 2 - 1, 0);", "r = h * 2 - 1;"},
       {"the index for the first channel", "out1[((n * 3 + h) * 6 + w) * 7 + c_2]",
        "out1[((n * 3 + h) * 6 + w) * 7]"},
       {"the index without the padding", "h - (oh * 2 - 1)", "h - oh * 2"},
       {"sums of all warps in one place", "(0 + netc::warp() * 32, 7)", "(0, 7)"},
       {"the gradient of another image", "dy = in0[((n * 3 + oh) * 6 + ow) * 7 + c_1];",
        "dy = in0[(oh * 6 + ow) * 7 + c_1];"}});
  expect_caught(
      operator_subject("avg_pool2d by loops", pooling(ops::avg_pool2d, large, negative)),
      {{"the padding counts", "13) - netc::max(h * 2 - 1, 0)", "13) - (h * 2 - 1)"},
       {"the sum does not begin at zero", "sum[c] = 0.0f;", ""},
       {"a column too many", "s < netc::min(w + 6,", "s < netc::min(w + 7,"},
       {"the gradient does not begin at zero", "acc[c] = 0.0f;", ""},
       {"gathers one row too few", "oh < netc::min((h + 1) /", "oh < netc::min(h /"},
       {"gathers one row too many", "oh = netc::max(h - 8, 0)", "oh = netc::max(h - 10, 0)"}});
}

TEST_F(Mutants, GroupsOfChannels) {
  const OpCase lrn{&ops::lrn,
                   {feed({2, 12, 3, 2})},
                   {{"n", int64_t{5}},
                    {"k", 2.0},
                    {"alpha", 0.5},
                    {"beta", 0.75},
                    {"alpha_over_n", false},
                    {"groups", int64_t{2}}}};
  expect_caught(
      operator_subject("lrn of two groups", lrn),
      {{"edges of one group only", " edge < 8;", " edge < 4;"},
       {"edges of one group's ratios only", "edge_1 < 8;", "edge_1 < 4;"},
       {"edges of the first group twice", "[edge / 4 * 10", "[edge / 8 * 10"},
       {"edges that begin in the last channel", "edge % 4 < 2, 0, 6)", "edge % 4 < 2, 0, 5)"},
       {"squares not set apart", "squares[c_0 / 6 * 4 + c_0 + 2]", "squares[c_0 + 2]"},
       {"ratios not set apart", "ratios[c_1 / 6 * 4 + c_1 + 2] =", "ratios[c_1 + 2] ="},
       {"a window that ends in the group before", "ratios[c_1_0 / 6 * 4 + c_1_0 + 4]",
        "ratios[c_1_0 + 4]"},
       {"ratios times the norm", "s);\n      }\n      netc", "1.0f / s);\n      }\n      netc"}});
}

} // namespace
} // namespace netc
