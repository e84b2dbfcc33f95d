// Mistakes in kernels of pixels: pooling and normalisation as they are fused, softmax.

#include "ir/ops.h"
#include "tests/emu/graph_mutation.h"

namespace netc {
namespace {

using namespace test;

/// bias, ReLU, LRN, pooling and loss. The windows become a kernel forward and one backward.
Graph windows() {
  Graph graph("windows");
  GraphBuilder builder(graph);
  Value* x = builder.value(ops::feed, "x", {}, tensor({3, 16, 9, 9}));
  Value* b = builder.value(ops::parameter, "b", {}, tensor({16}));
  Value* value = builder.value(ops::relu, "relu", {builder.value(ops::bias, "bias", {x, b})});
  value = builder.value(ops::lrn, "lrn", {value},
                        {{"n", int64_t{5}},
                         {"k", 2.0},
                         {"alpha", 0.5},
                         {"beta", 0.75},
                         {"alpha_over_n", true},
                         {"groups", int64_t{1}}});
  value = builder.value(ops::max_pool2d, "pool", {value},
                        {{"kernel", std::vector<int64_t>{3, 3}},
                         {"stride", std::vector<int64_t>{2, 2}},
                         {"rounding", std::string("floor")}});
  value = builder.value(ops::flatten, "flat", {value});
  Value* labels = builder.value(ops::feed, "labels", {}, tensor({3}, "i32"));
  graph.outputs.push_back(
      {"loss", builder.value(ops::softmax_cross_entropy, "loss", {value, labels})});
  return graph;
}

const std::vector<Mutation> fused_forward = {
    {"no barrier before squares are summed", "+ c_0];\n        }\n        netc::warp_barrier();",
     "+ c_0];\n        }"},
    {"a barrier of the block where warps have more and less pixels",
     "+ c_0];\n        }\n        netc::warp_barrier();",
     "+ c_0];\n        }\n        netc::barrier();"},
    {"no barrier before the next squares", "netc::warp_barrier();\n      }\n      netc::barrier();",
     "}\n      netc::barrier();"},
    {"no barrier behind the stage", "      netc::barrier();\n    }\n    for", "    }\n    for"},
    {"the stage's last columns left out", "column < 9; column += netc::warps()",
     "column < 9 / netc::warps() * netc::warps(); column += netc::warps()"},
    {"columns that begin at the lane", "column = netc::warp()", "column = netc::lane()"},
    {"columns as far apart as threads", "column += netc::warps()", "column += netc::lanes()"},
    {"every warp all columns", "column = netc::warp(); column < 9; column += netc::warps()",
     "column = 0; column < 9; ++column"},
    {"no zeros behind the channels", "edge % 4 < 2, 0, 16)] = 0.0f;\n        }\n        netc::warp",
     "edge % 4 < 2, 0, 0)] = 0.0f;\n        }\n        netc::warp"},
    {"squares a channel off", "squares[c_0 + 2]", "squares[c_0 + 3]"},
    {"a channel twice in the window", "squares[c_1 + 4])) * netc", "squares[c_1 + 3])) * netc"},
    {"squares over the stage", "(1728 + netc::warp() * 80, 20)", "(1712 + netc::warp() * 80, 20)"},
    {"squares over the next warp's", "(1728 + netc::warp() * 80, 20)",
     "(1728 + netc::warp() * 64, 20)"},
    {"squares of all warps in one place", "(1728 + netc::warp() * 80, 20)", "(1728, 20)"},
    {"a row of the window twice", "at_2 = h * 2 + 2", "at_2 = h * 2 + 1"},
    {"columns of taps exchanged, which changes the index only",
     "at_3 = w * 2;\n      const int at_4 = w * 2 + 1;",
     "at_3 = w * 2 + 1;\n      const int at_4 = w * 2;"},
    {"the stage filled by windows that step 1", "first_row = netc::max(h * 2,",
     "first_row = netc::max(h,"},
    {"rows of the stage too close", "x_8 = stage[((at_2 - first_row) * 9",
     "x_8 = stage[((at_2 - first_row) * 8"},
    {"argmax of a narrower window", "netc::select(keeps_8, where_7, 8)",
     "netc::select(keeps_8, where_7, 6)"},
    {"the bias of the first channel", "x + in1[c]", "x + in1[0]"},
    {"channels and pixels of the flat tensor exchanged", "place / 16", "place % 16"},
};

const std::vector<Mutation> fused_backward = {
    {"the first window's number", "first_1 = netc::max(h - 1, 0) / 2;", "first_1 = h / 2;"},
    {"windows before the first", "first = netc::max(w - 1, 0) / 2;", "first = (w - 2) / 2;"},
    {"windows behind the last are read", "at = netc::min(first + 1, netc::min(w / 2 + 1, 4) - 1);",
     "at = first + 1;"},
    {"a window counted twice", "netc::select(inside, netc::select(",
     "netc::select(1, netc::select("},
    {"the test of the other axis", "inside_1 && inside, netc", "inside_1, netc"},
    {"the maximum of another window", "(h - first_1 * 2) * 3 + (w - at * 2), dy_1",
     "(h - first_1 * 2) * 3 + (w - first * 2), dy_1"},
    {"one window left out", "sum_3 = sum_2 +", "sum_3 = sum_1 +"},
    {"no barrier before ratios are summed", ", s);\n      }\n      netc::warp_barrier();",
     ", s);\n      }"},
    {"the last columns left out", "w < 9; w += netc::warps()) {\n      const netc::Shared",
     "w < 9 / netc::warps() * netc::warps(); w += netc::warps()) {\n      const netc::Shared"},
    {"squares over the same warp's other arrays", "(192 + netc::warp() * 352, 20)",
     "(192 + netc::warp() * 336, 20)"},
    {"ratios of all warps in one place", "(272 + netc::warp() * 352, 20)", "(272, 20)"},
    {"a window of four channels", " + ratios[c_2_0 + 4]", ""},
    {"the wrong power of the norm", "netc::fast_sqrt(s) * netc::fast_sqrt(netc::fast_sqrt(s))",
     "netc::fast_sqrt(s)"},
    {"a gradient where the ReLU was 0", "netc::select(x_1 > 0.0f, x, 0.0f)", "x"},
};

TEST_F(Mutants, FusedWindows) {
  const Subject step =
      training_subject("training step", windows(), {.rate = 1, .momentum = 0.9, .decay = 5e-4},
                       {{"labels", values({255, -1, 7})}});
  expect_caught(step, fused_forward);
  expect_caught(step, fused_backward);
}

/// Rows of more pixels than a block has warps, more channels than a warp has lanes, and exponents
/// that are 0 unless the largest is taken off.
const OpCase softmax{&ops::softmax, {feed({2, 45, 3, 10}, uniform(-200, -100))}};

TEST_F(Mutants, Softmax) {
  expect_caught(
      operator_subject("softmax", softmax),
      {{"the last pixels left out", "w < 10; w += netc::warps()",
        "w < 10 / netc::warps() * netc::warps(); w += netc::warps()"},
       {"pixels that begin at the lane", "int w = netc::warp();", "int w = netc::lane();"},
       {"exponents over the next warp's", "netc::warp() * 192, 45)", "netc::warp() * 176, 45)"},
       {"exponents of all warps in one place", "(0 + netc::warp() * 192, 45)", "(0, 45)"},
       {"channels that begin at the thread", "int c_1 = netc::warp_lane();",
        "int c_1 = netc::lane();"},
       {"channels as far apart as threads", "c_1 < 45; c_1 += 32",
        "c_1 < 45; c_1 += netc::lanes()"},
       {"exponents without the largest", " - largest)", ")"},
       {"exponents without their sum", "exps[c_1] * weight", "exps[c_1]"},
       {"the cotangent's sum", "i] * in1[((n * 3 + h) * 10 + w) * 45 + i]", "i]"}});
}

TEST_F(Mutants, ReductionsOfWarps) {
  expect_caught(
      operator_subject("softmax", softmax),
      {{"one element a lane", "for (int i = lo + warp_lane(); i < hi; i += 32)",
        "for (int i = lo + warp_lane(); i < min(hi, lo + 32); i += 32)"},
       {"elements that begin at the thread", "int i = lo + warp_lane();", "int i = lo + lane();"},
       {"elements as far apart as threads", "i < hi; i += 32)", "i < hi; i += lanes())"},
       {"every lane all elements", "int i = lo + warp_lane(); i < hi; i += 32",
        "int i = lo; i < hi; ++i"},
       {"lanes by themselves", "    sum = combine_warp<Op>(sum);\n  }\n  warp_barrier();",
        "  }\n  warp_barrier();"},
       {"half of a warp", "int mask = 16; mask > 0;", "int mask = 8; mask > 0;"},
       {"neighbours apart", "int mask = 16; mask > 0;", "int mask = 16; mask > 1;"},
       {"half of the lanes shuffle", "    value = Op::combine(value, shuffle_xor(value, mask));",
        "    if (warp_lane() < 16) value = Op::combine(value, shuffle_xor(value, mask));"},
       {"a barrier of the block at the end", "  warp_barrier();\n  return sum;",
        "  barrier();\n  return sum;"},
       {"a largest of at least 0", "identity = -3.402823466e38f;", "identity = 0;"},
       {"the sum for the largest", "return max(a, b); }", "return a + b; }"}});
  // All lanes read all elements.
  expect_caught(
      operator_subject("softmax, exact", softmax, true),
      {{"no barrier behind the exponents", "- largest);\n      }\n      netc::warp_barrier();",
        "- largest);\n      }"},
       {"a level of the tree left out", "width < parts; width *= 2)", "width < parts; width *= 4)"},
       {"blocks over one another", "(hi - lo) * b / parts)", "(hi - lo) * (b / 2) / parts)"},
       {"blocks that end too late", "(hi - lo) * (b + 1) / parts)", "(hi - lo) * (b + 2) / parts)"},
       {"a block's first element left out", "for (int i = begin; i < end; ++i)",
        "for (int i = begin + 1; i < end; ++i)"}});
}

} // namespace
} // namespace netc
