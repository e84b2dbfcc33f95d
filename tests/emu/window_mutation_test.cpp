// Mistakes in kernels of pixels: pooling, normalisation, what is fused with them, softmax.

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
    {"no barrier before squares are summed", "+ c_0_0];\n        }\n        netc::warp_barrier();",
     "+ c_0_0];\n        }"},
    {"a barrier of the block where warps have more and less pixels",
     "+ c_0_0];\n        }\n        netc::warp_barrier();",
     "+ c_0_0];\n        }\n        netc::barrier();"},
    {"no barrier before the next squares", "netc::warp_barrier();\n      }\n      netc::barrier();",
     "}\n      netc::barrier();"},
    {"no barrier behind the stage", "      netc::barrier();\n    }\n    for", "    }\n    for"},
    {"the stage's last columns left out", "column < 9; column += netc::warps()",
     "column < 9 / netc::warps() * netc::warps(); column += netc::warps()"},
    {"columns that begin at the lane", "column = netc::warp()", "column = netc::lane()"},
    {"columns as far apart as threads", "column += netc::warps()", "column += netc::lanes()"},
    {"every warp all columns", "column = netc::warp(); column < 9; column += netc::warps()",
     "column = 0; column < 9; ++column"},
    {"no zeros behind the channels", "squares[18 + edge] = 0.0f;", ""},
    {"squares a channel off", "squares[c_0_0 + 2]", "squares[c_0_0 + 3]"},
    {"a channel twice in the window", "squares[c_1_0 + 4])) * netc", "squares[c_1_0 + 3])) * netc"},
    {"squares over the stage", "(1728 + netc::warp() * 80, 20)", "(1712 + netc::warp() * 80, 20)"},
    {"squares over the next warp's", "(1728 + netc::warp() * 80, 20)",
     "(1728 + netc::warp() * 64, 20)"},
    {"squares of all warps in one place", "(1728 + netc::warp() * 80, 20)", "(1728, 20)"},
    {"argmax over another warp's maxima", "(1792 + netc::warp() * 128, 16)",
     "(1792 + netc::warp() * 64, 16)"},
    {"a window of two rows", " r < netc::min(h * 2 + 3,", " r < netc::min(h * 2 + 2,"},
    {"the stage filled by windows that step 1", "first_row = netc::max(h * 2,",
     "first_row = netc::max(h,"},
    {"rows of the stage too close", "(r - first_row) * 9", "(r - first_row) * 8"},
    {"argmax of a narrower window", "(r - h * 2) * 3", "(r - h * 2) * 2"},
    {"the bias of the first channel", "x + in1[c]", "x + in1[0]"},
    {"channels and pixels of the flat tensor exchanged", "place / 16", "place % 16"},
};

const std::vector<Mutation> fused_backward = {
    {"gathers from too late a row", "oh = netc::max(h - 1,", "oh = netc::max(h,"},
    {"gathers from behind the last column", "ow < netc::min(w / 2 + 1, 4)", "ow < w / 2 + 1"},
    {"the maximum of another window", "w - ow * 2", "w - ow"},
    {"the sum does not begin at zero", "acc[c] = 0.0f;", ""},
    {"no barrier before ratios are summed", "/ s;\n      }\n      netc::warp_barrier();",
     "/ s;\n      }"},
    {"the last columns left out", "w < 9; w += netc::warps()",
     "w < 9 / netc::warps() * netc::warps(); w += netc::warps()"},
    {"squares over the same warp's other arrays", "(256 + netc::warp() * 416, 20)",
     "(256 + netc::warp() * 400, 20)"},
    {"ratios of all warps in one place", "(336 + netc::warp() * 416, 20)", "(336, 20)"},
    {"a window of four channels", " + ratios[c_4_0_0 + 4]", ""},
    {"the wrong power of the norm", "(netc::sqrt(s) * netc::sqrt(netc::sqrt(s)))", "netc::sqrt(s)"},
    {"a gradient where the ReLU was 0", "netc::select(x_1 > 0.0f, x, 0.0f)", "x"},
};

TEST_F(Mutants, FusedWindows) {
  const Subject step =
      training_subject("training step", windows(), {.rate = 1, .momentum = 0.9, .decay = 5e-4},
                       {{"labels", values({255, -1, 7})}});
  expect_caught(step, fused_forward);
  expect_caught(step, fused_backward);
}

/// Negative numbers in windows of 3 x 2, stride 2, a row of padding above.
OpCase pooling(const OpDef& op) {
  Attributes attrs{{"kernel", std::vector<int64_t>{3, 2}},
                   {"stride", std::vector<int64_t>{2, 2}},
                   {"pad", std::vector<int64_t>{1, 0, 0, 1}},
                   {"rounding", std::string("ceil")}};
  if (&op == &ops::avg_pool2d)
    attrs.set("divisor", std::string("clipped"));
  return {&op, {feed({2, 7, 8, 6}, uniform(-2, -1))}, attrs};
}

TEST_F(Mutants, Pooling) {
  expect_caught(
      operator_subject("max_pool2d", pooling(ops::max_pool2d)),
      {{"maximum of 0", "best[c] = -3.4028235e+38f;", "best[c] = 0.0f;"},
       {"no first argmax", "where[c] = 0;", ""},
       {"argmax over the maxima", "(32 + netc::warp() * 64, 7)", "(32 + netc::warp() * 32, 7)"},
       {"sums of all warps in one place", "(0 + netc::warp() * 32, 7)", "(0, 7)"},
       {"rows above the image", "r = netc::max(h * 2 - 1, 0);", "r = h * 2 - 1;"},
       {"argmax for the first channel", "out1[((n * 4L + h) * 3 + w) * 7 + c_2]",
        "out1[((n * 4L + h) * 3 + w) * 7]"},
       {"argmax without the padding", "h - (oh * 2 - 1)", "h - oh * 2"},
       {"the gradient of another image", "dy = in0[((n * 4L + oh) * 3 + ow) * 7 + c_1];",
        "dy = in0[(oh * 3 + ow) * 7 + c_1];"}});
  expect_caught(operator_subject("avg_pool2d", pooling(ops::avg_pool2d)),
                {{"the padding counts", "8) - netc::max(h * 2 - 1, 0)", "8) - (h * 2 - 1)"},
                 {"the sum does not begin at zero", "sum[c] = 0.0f;", ""},
                 {"a column too many", "s < netc::min(w * 2 + 2,", "s < netc::min(w * 2 + 3,"},
                 {"gathers one row too few", "oh < netc::min((h + 1) /", "oh < netc::min(h /"}});
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
       {"the cotangent's sum", "i] * in1[((n * 3L + h) * 10 + w) * 45 + i]", "i]"}});
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
