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
    {"a run that does not exist", "run < 192", "run < 193"},
    {"a run left out", "run < 192", "run < 191"},
    {"runs of half a block", "i < 256; i += netc::lanes()) {\n      const int run",
     "i < 128; i += netc::lanes()) {\n      const int run"},
    {"runs that begin at the channel", "c = run % 4 * 4", "c = run % 4"},
    {"rows as columns", "w = run / 4 % 4", "w = run / 16 % 4"},
    {"pixels of five runs", "h = run / 4 / 4 % 4", "h = run / 5 / 4 % 4"},
    {"neighbours of the other side", "((n * 9 + at) * 9 + at_3) * 16 + (left + 2)",
     "((n * 9 + at) * 9 + at_3) * 16 + right"},
    {"a neighbour two channels off", "((n * 9 + at) * 9 + at_4) * 16 + (left + 2)",
     "((n * 9 + at) * 9 + at_4) * 16 + (left + 1)"},
    {"neighbours before the first channel are read", "left = netc::max(c - 4, 0)", "left = c - 4"},
    {"neighbours behind the last channel are read", "right = netc::min(c + 4, 12)",
     "right = c + 4"},
    {"neighbours beyond the first channel count", "netc::select(4 <= c, x, 0.0f)", "x"},
    {"neighbours beyond the last channel count", "netc::select(c < 12, x_6, 0.0f)", "x_6"},
    {"a window of four channels", "sum = left_sum + square;", "sum = left_sum;"},
    {"a channel twice in the window", "square_3 + square_4;\n", "square_3 + square_3;\n"},
    {"the wrong power of the norm",
     "netc::fast_inverse_root(s) * netc::fast_inverse_fourth_root(s)",
     "netc::fast_inverse_root(s)"},
    {"a row of the window twice", "at_2 = h * 2 + 2", "at_2 = h * 2 + 1"},
    {"columns of taps exchanged, which changes the index only",
     "at_3 = w * 2;\n        const int at_4 = w * 2 + 1;",
     "at_3 = w * 2 + 1;\n        const int at_4 = w * 2;"},
    {"rows of the image too close", "(n * 9 + at_2) * 9 + at_5) * 16 + c",
     "(n * 9 + at_2) * 8 + at_5) * 16 + c"},
    {"argmax of a narrower window", "netc::select(keeps_28, where_24, 8)",
     "netc::select(keeps_28, where_24, 6)"},
    {"maxima of channels exchanged", "{best_28, best_29,", "{best_29, best_28,"},
    {"indices of channels exchanged", "{y_36, y_37,", "{y_37, y_36,"},
    {"the bias of the first channels", "load4(in1, c)", "load4(in1, 0)"},
    {"channels and pixels of the flat tensor exchanged", "place / 16", "place % 16"},
};

const std::vector<Mutation> fused_backward = {
    {"the first window's number", "first_1 = netc::max(w - 1, 0) / 2;", "first_1 = w / 2;"},
    {"windows before the first", "first = netc::max(h - 1, 0) / 2;", "first = (h - 2) / 2;"},
    {"windows behind the last are read",
     "at_1 = netc::min(first_1 + 1, netc::min(w / 2 + 1, 4) - 1);", "at_1 = first_1 + 1;"},
    {"a window counted twice", "netc::select(inside_1, (h", "netc::select(1, (h"},
    {"the test of the other axis", "inside && inside_1, (h", "inside, (h"},
    {"the maximum of another window", "(h - first * 2) * 3 + (w - at_1 * 2), -1",
     "(h - first * 2) * 3 + (w - first_1 * 2), -1"},
    {"one window left out", "sum_16 = sum_12 +", "sum_16 = sum_8 +"},
    {"no barrier before ratios are summed", "netc::warp_barrier();\n      for (int i",
     "for (int i"},
    {"the last tile left out", "tile < 8; tile", "tile < 7; tile"},
    {"tiles that begin at the lane", "tile = netc::warp()", "tile = netc::lane()"},
    {"every warp all tiles", "int tile = netc::warp(); tile < 8; tile += netc::warps()",
     "int tile = 0; tile < 8; ++tile"},
    {"tiles over one another", "(part * 8 + tile) * 8", "(part * 8 + tile) * 7"},
    {"a pixel that does not exist",
     "(512 + netc::warp() * 1024, 128);\n"
     "      for (int i = netc::warp_lane(); i < 32; i += 32) {\n"
     "        const int slot = i / 4;\n"
     "        const int pixel = first_pixel + slot;\n"
     "        if (pixel < 243)",
     "(512 + netc::warp() * 1024, 128);\n"
     "      for (int i = netc::warp_lane(); i < 32; i += 32) {\n"
     "        const int slot = i / 4;\n"
     "        const int pixel = first_pixel + slot;\n"
     "        if (pixel < 244)"},
    {"ratios over the cotangents", "(512 + netc::warp() * 1024, 128)",
     "(256 + netc::warp() * 1024, 128)"},
    {"ratios over the next warp's", "(512 + netc::warp() * 1024, 128)",
     "(512 + netc::warp() * 768, 128)"},
    {"ratios of all warps in one place", "(512 + netc::warp() * 1024, 128)", "(512, 128)"},
    {"ratios of pixels over one another", "store4(shared_1, slot * 16",
     "store4(shared_1, slot * 8"},
    {"ratios of the next pixel", "load4(shared_1, slot * 16", "load4(shared_1, (slot ^ 1) * 16"},
    {"ratios beyond the first channel", "netc::select(4 <= c, x_40, 0.0f)", "x_40"},
    {"a window of four channels", "sum_20 = left_sum_1 + near_4", "sum_20 = left_sum_1"},
    {"the cotangent of the next channel", "y = x_48 -", "y = x_49 -"},
    {"the wrong power of the norm",
     "scaled = sum_16 * (netc::fast_inverse_root(s) * netc::fast_inverse_fourth_root(s))",
     "scaled = sum_16 * netc::fast_inverse_root(s)"},
    {"a gradient where the ReLU was 0", "netc::select(x_52 > 0.0f, y, 0.0f)", "y"},
};

/// Of two pixels forward, two by two backward; the last of 9 have none below and beside them.
const std::vector<Mutation> fused_blocks = {
    {"windows of a block one pixel apart", "at_6 = block_w * 4 + 3;", "at_6 = block_w * 4 + 2;"},
    {"blocks closer than they are long", "const int column = block_w * 2;",
     "const int column = block_w;"},
    {"the second pixel over the first", "netc::store4(out0, ((n * 4 + h) * 4 + column_1) * 16",
     "netc::store4(out0, ((n * 4 + h) * 4 + column) * 16"},
    {"indices of another pixel", "{y_64,", "{y_36,"},
    {"a row behind the last is read", "row_1 = netc::min(block_h * 2 + 1, 8)",
     "row_1 = block_h * 2 + 1"},
    {"windows before the first are read", "at = netc::max(block_h - 1, 0)", "at = block_h - 1"},
    {"windows behind the last are read", "at_3 = netc::min(block_w, 3)", "at_3 = block_w"},
    {"the window before the first counts", "own = netc::select(inside && inside_2,",
     "own = netc::select(inside_2,"},
    {"the maximum beside it", "netc::select(inside, 7, -1)", "netc::select(inside, 6, -1)"},
    {"the middle of the window before", "own_8 = 4;", "own_8 = 3;"},
    {"pixels of a block over one another", "store4(shared_1, (slot * 4 + 1) * 16",
     "store4(shared_1, (slot * 4) * 16"},
    {"blocks over one another", "store4(shared, slot * 4 * 16", "store4(shared, slot * 16"},
    {"ratios of the next pixel", "load4(shared_1, (slot * 4 + 2) * 16",
     "load4(shared_1, (slot * 4 + 3) * 16"},
    {"ratios over the next warp's", "(2048 + netc::warp() * 4096, 512)",
     "(2048 + netc::warp() * 2048, 512)"},
    {"a pixel that does not exist is stored", "if (block_w < 4)", "if (block_w < 5)"},
    {"a pixel left out", "if (block_h < 4 && block_w < 4)", "if (block_h < 3 && block_w < 4)"},
};

Subject step_of_windows(const std::string& name, const RunOptions& options) {
  return training_subject(name, windows(), {.rate = 1, .momentum = 0.9, .decay = 5e-4},
                          {{"labels", values({255, -1, 7})}}, options);
}

TEST_F(Mutants, FusedWindows) {
  const Subject step = step_of_windows("training step", emu_options(true));
  expect_caught(step, fused_forward);
  expect_caught(step, fused_backward);
}

TEST_F(Mutants, FusedWindowsInBlocks) {
  expect_caught(step_of_windows("training step in blocks", blocks_on_emu()), fused_blocks);
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
