// Mistakes in the other kernels of a training step: dropout, loss, accuracy, sums, updates (by
// themselves and in weight gradients), epilogues, and in what kernels share.

#include "ir/ops.h"
#include "tests/emu/graph_mutation.h"

#include <cmath>

namespace netc {
namespace {

using namespace test;

/// More classes than a block has threads; the first sample does not count.
Subject loss() {
  return operator_subject("loss", {&ops::softmax_cross_entropy,
                                   {feed({5, 300}, uniform(-60, 60)),
                                    integers_feed({5}, values({-1, 7, 299, -1, 255}))}});
}

TEST_F(Mutants, Loss) {
  expect_caught(
      loss(),
      {{"exponents without the largest", " - largest)", ")"},
       {"the logit of label -1", "logits[n * 300 + netc::max(label, 0)]",
        "logits[n * 300 + label]"},
       {"the loss of samples that do not count", "label < 0", "label < -1"},
       {"samples that do not count counted", "labels[valid_i] >= 0", "labels[valid_i] >= -1"},
       {"rows of probabilities too close", "probabilities[n * 300 + c1]",
        "probabilities[n * 299 + c1]"},
       {"probabilities without their sum", "exps[c1] * weight", "exps[c1]"},
       {"the gradient of samples that do not count", "in1[n] >= 0", "in1[n] >= -1"},
       {"the first sample's label", "c == in1[n]", "c == in1[0]"}});
}

TEST_F(Mutants, Reductions) {
  expect_caught(
      loss(),
      {{"the last warp left out", "for (int w = 0; w < warps(); ++w)",
        "for (int w = 0; w < warps() - 1; ++w)"},
       {"half of a warp", "for (int mask = 16; mask > 0; mask /= 2)",
        "for (int mask = 8; mask > 0; mask /= 2)"},
       {"no barrier before other warps' sums", "      sums[warp()] = sum;\n    barrier();",
        "      sums[warp()] = sum;"},
       {"a barrier for some threads only",
        "    if (warp_lane() == 0)\n      sums[warp()] = sum;\n    barrier();",
        "    if (warp_lane() == 0) {\n      sums[warp()] = sum;\n      barrier();\n    }"},
       {"half of the lanes shuffle", "    value = Op::combine(value, shuffle_xor(value, mask));",
        "    if (warp_lane() < 16) value = Op::combine(value, shuffle_xor(value, mask));"},
       {"every warp the first place", "      sums[warp()] = sum;", "      sums[0] = sum;"},
       {"one element a thread", "for (int i = lo + lane(); i < hi; i += lanes())",
        "for (int i = lo + lane(); i < min(hi, lo + lanes()); i += lanes())"},
       {"the first warp counted twice", "    sum = Op::identity;\n    for (int w",
        "    for (int w"},
       {"sums that begin at one", "static constexpr float identity = 0;",
        "static constexpr float identity = 1;"}});
}

/// What is reduced, and what reductions need, is overwritten at once.
const std::string reductions_in_turn = R"(#include "codegen/device/cuda/kernel.h"
extern "C" __global__ void kernel_0(netc::Global<const float> in, netc::Global<float> out) {
  const netc::Shared<float> sums = netc::shared_array<float>(0, 32);
  const netc::Shared<float> own = netc::shared_array<float>(128 + netc::warp() * 128, 32);
  float sum = 0;
  for (int time = 0; time < 2; ++time)
    sum += netc::reduce_lanes<netc::Add, 0>(sums, 0, 64, [&](int i) { return in[i]; });
  for (int time = 0; time < 2; ++time) {
    own[netc::warp_lane()] = in[netc::warp_lane()];
    netc::warp_barrier();
    sum += netc::reduce_warp<netc::Add, 8>(0, 32, [&](int i) { return own[i]; });
  }
  out[netc::lane()] = sum;
}
)";

TEST_F(Mutants, ReductionsInTurn) {
  auto run = [](const EditText& edit) {
    const EmuText text(edit(reductions_in_turn));
    EmuArray<float> in(std::vector<float>(64, 1)), out(64);
    const EmulatorBuffer buffers[] = {in.buffer("in"), out.buffer("out")};
    Emulator().launch({.kernel = "reductions",
                       .function = text.entry(0),
                       .threads = 64,
                       .shared_bytes = 384,
                       .buffers = buffers});
    return std::abs(out.values[63] - 2 * (64 + 32));
  };
  expect_caught(
      {"reductions in turn", 1e-9, run},
      {{"a warp's barrier behind the block's sums", "  barrier();\n  return sum;",
        "  warp_barrier();\n  return sum;"},
       {"no barrier behind the warp's sum", "  warp_barrier();\n  return sum;", "  return sum;"}});
}

TEST_F(Mutants, Accuracy) {
  // Equal logits; a sample that does not count, but would be right.
  expect_caught(
      operator_subject("topk_accuracy",
                       {&ops::topk_accuracy,
                        {feed({5, 3}, values({1, 1, 0, 1, 1, 0, 0, 1, 1, 2, 2, 2, 3, 1, 2})),
                         integers_feed({5}, values({0, 2, 1, 1, -1}))},
                        {{"k", int64_t{1}}}}),
      {{"a class before itself", "> own", ">= own"},
       {"equal classes the other way round", "i < label", "i > label"},
       {"one rank too many", "rank < 1", "rank <= 1"},
       {"samples that do not count", "label >= 0 && ", ""}});
}

TEST_F(Mutants, Dropout) {
  expect_caught(
      operator_subject(
          "dropout", {&ops::dropout,
                      {feed({2, 13, 5, 3}), integers_feed({2}, values({123456789, -42})),
                       integers_feed({1}, values({1'000'003}))},
                      {{"rate", 0.3}, {"mode", std::string("inverted")}, {"stream", int64_t{7}}}}),
      {{"counters of two elements", "+ w, 2)", "+ w, 1)"},
       {"two of four words", "+ w) & 3)", "+ w) & 1)"},
       {"the stream of another layer", "^ 1073741831)", "^ 1073741830)"},
       {"kept and dropped exchanged", ">= 0.3f", "< 0.3f"},
       {"counted as it lies in memory", "shift_right(((n * 13 + c) * 5 + h) * 3 + w",
        "shift_right(((n * 5 + h) * 3 + w) * 13 + c"},
       {"the words of the counter exchanged",
        "static_cast<unsigned>(counter0), static_cast<unsigned>(counter1), 0, 0);",
        "static_cast<unsigned>(counter1), static_cast<unsigned>(counter0), 0, 0);"},
       {"a round too few", "round < 10;", "round < 9;"}});
}

TEST_F(Mutants, Sums) {
  // 110 pixels in 13 parts, six of them with one more.
  expect_caught(
      operator_subject("channel_sum", {&ops::channel_sum, {feed({2, 7, 5, 11}, uniform(-0.5, 1))}}),
      {{"no part takes the rest", " + netc::select(part < 6, 1, 0)", ""},
       {"parts that begin before the rest", " + netc::min(part, 6)", ""},
       {"half of the rest", "netc::min(part, 6)", "netc::min(part, 3)"},
       {"every part the first", "part * 8", "0 * 8"},
       {"a pixel too many", "(begin, end, [&]", "(begin, (end + 1), [&]"},
       {"pixels too close", "x[i * 7 + c]", "x[i * 6 + c]"},
       {"the last sum of a part left out", "netc::min(first + 256, 91)",
        "netc::min(first + 256, 90)"},
       {"the last channel left out", "netc::min(first + 256, 7)", "netc::min(first + 256, 6)"},
       {"channels of another part", "c = l % 7", "c = l % 6"},
       {"parts read too close", "partial[i * 7", "partial[i * 6"},
       {"the last part left out", "0, 13, [&](int i) { return partial",
        "0, 12, [&](int i) { return partial"},
       {"sums of all channels in one place", "sum[c] =", "sum[0] ="}});
  // 270 pixels in 33 parts, whose sums are those of two blocks.
  expect_caught(operator_subject("channel_sum of many parts",
                                 {&ops::channel_sum, {feed({3, 11, 10, 9}, uniform(-0.5, 1))}}),
                {{"the second block's sums left out", "group * 256", "group * 0"},
                 {"the last part left out", "0, 33, [&](int i) { return partial",
                  "0, 32, [&](int i) { return partial"},
                 {"sums of all channels in one place", "sum[c + l]", "sum[l]"}});
  expect_caught(operator_subject("channel_sum, exact",
                                 {&ops::channel_sum, {feed({2, 7, 3, 5}, uniform(-0.5, 1))}}, true),
                {{"sums do not begin at zero", "acc[c] = 0.0f;", ""},
                 {"a row too many", "row < first_row", "row <= first_row"},
                 {"the first image's rows", "row / 3 * 3 + ", ""},
                 {"the last channel left out", "c2 < 7;", "c2 < 6;"},
                 {"shares too close", "partial[i * 7", "partial[i * 6"},
                 {"parts of a block in one place", "(block * 3 + part) * 7", "(block * 3) * 7"},
                 {"every part the first", "part * rows", "0 * rows"},
                 {"a block of the batch too many", "(block + 1) * 2", "(block + 2) * 2"},
                 {"the last share left out", "(0, 24, [&](int i)", "(0, 23, [&](int i)"}});
}

TEST_F(Mutants, Updates) {
  expect_caught(
      operator_subject("sgd_update", {&ops::sgd_update,
                                      {parameter({7, 3, 5, 5}), parameter({7, 3, 5, 5}),
                                       parameter({7, 3, 5, 5}), feed({1}, values({0.0625}))},
                                      {{"momentum", 0.9}, {"decay", 0.0005}, {"rate", 1.0}}}),
      {{"momentum 1", "0.9f * in2_i", "in2_i"},
       {"decay that grows", "- shrink", "+ shrink"},
       {"decay without the rate", "shrink = step * ", "shrink = "},
       {"the momentum not added", "in0_i + momentum", "in0_i - step * in1_i"},
       {"an element behind the last", "525", "526"}});
}

/// A step of training of a fully connected layer. Its update joins the weight gradient, which is as
/// deep as the batch is large.
Subject layer_step(int64_t batch) {
  Graph graph("layer");
  GraphBuilder builder(graph);
  Value* x = builder.value(ops::feed, "x", {}, tensor({batch, 16}));
  Value* w = builder.value(ops::parameter, "w", {}, tensor({70, 16}));
  Value* labels = builder.value(ops::feed, "labels", {}, tensor({batch}, "i32"));
  Value* y = builder.value(ops::linear, "layer", {x, w});
  graph.outputs.push_back({"loss", builder.value(ops::softmax_cross_entropy, "loss", {y, labels})});
  return training_subject(fmt::format("step of a layer, batch {}", batch), std::move(graph),
                          {.rate = 1, .momentum = 0.9, .decay = 0.25},
                          {{"rate", values({0.0625})}, {"w.momentum", uniform(-0.5, 0.5)}});
}

const std::vector<Mutation> joined_update = {
    {"the momentum not stored", "out1[pixel * 16 + (channel + i)] = momentum;", ""},
    {"the gradient without the rate", "- step * v0", "- v0"},
    {"the gradient's sign", "- step * v0", "+ step * v0"},
    {"decay that grows", "- shrink", "+ shrink"},
    {"decay without the rate", "shrink = step * ", "shrink = "},
    {"momentum 1", "0.9f * in3_i", "in3_i"},
    {"the momentum not added", "in2_i + momentum", "in2_i"},
    {"rows of weights too close", "load_once(in2, pixel * 16", "load_once(in2, pixel * 15"},
    {"rows of momenta too close", "load_once(in3, pixel * 16", "load_once(in3, pixel * 15"},
    {"rows of momenta stored too close", "out1[pixel * 16", "out1[pixel * 15"},
    {"the weights of the first inputs", "load_once(in2, pixel * 16 + (channel + i))",
     "load_once(in2, pixel * 16 + i)"},
};

TEST_F(Mutants, UpdatesOfLayers) {
  expect_caught(layer_step(5), joined_update);
  // Two splits: the update follows the sum of their shares, in runs of four.
  const Subject deep = layer_step(301);
  expect_caught(deep, joined_update);
  expect_caught(deep,
                {{"one element of a run", "i < count; ++i) {\n      const float v0",
                  "i < 1; ++i) {\n      const float v0"},
                 {"the last share left out", "split < t.splits;", "split < t.splits - 1;"},
                 {"an update for each share",
                  "        add_run(sums[r], shares, at[r] + share_index<shape>(split, 0, 0, 0));",
                  "        add_run(sums[r], shares, at[r] + share_index<shape>(split, 0, 0, 0)),\n"
                  "        p.at(group[r]).finish(row[r], column[r], count, sums[r]);"}});
}

/// A convolution with all that fuses behind it, a value in the middle stored.
Graph epilogue() {
  Graph graph("epilogue");
  GraphBuilder builder(graph);
  Value* x = builder.value(ops::feed, "x", {}, tensor({2, 300, 7, 5}));
  Value* w = builder.value(ops::parameter, "w", {}, tensor({12, 300, 1, 1}));
  Value* b = builder.value(ops::parameter, "b", {}, tensor({12}));
  Value* y = builder.value(ops::bias, "bias", {builder.value(ops::conv2d, "conv", {x, w}), b});
  graph.outputs.push_back({"before", y});
  Value* z = builder.value(ops::feed, "z", {}, tensor({2, 12, 7, 5}));
  y = builder.value(ops::add, "sum", {z, builder.value(ops::relu, "relu", {y})});
  Value* seed = builder.value(ops::feed, "seed", {}, tensor({2}, "i32"));
  Value* step = builder.value(ops::feed, "step", {}, tensor({1}, "i32"));
  y = builder.value(ops::dropout, "dropout", {y, seed, step}, {{"rate", 0.4}});
  graph.outputs.push_back({"y", y});
  return graph;
}

TEST_F(Mutants, Epilogues) {
  const auto graph = std::make_shared<Graph>(epilogue());
  Random random(1);
  // Sums of two splits come in runs of four channels.
  expect_caught(
      graph_subject(
          "epilogue", emu_options(true, Precision::fp32),
          [=](const RunOptions& options) { return prepare_graph(*graph, options); },
          random_inputs(*graph, random)),
      {{"the bias of the run's first channel", "load_once(in2, channel + i)",
        "load_once(in2, channel)"},
       {"one channel of a run", "i < count; ++i)", "i < 1; ++i)"},
       {"the ReLU's sides exchanged", "v1 < 0.0f, 0.0f, v1", "v1 < 0.0f, v1, 0.0f"},
       {"the other operand's first pixel", "load_once(in3, pixel * 12 + (channel + i))",
        "load_once(in3, (channel + i))"},
       {"the next image's counter", "shift_right(((pixel /", "shift_right((((pixel + 1) /"},
       {"channels of a run over one another", "out1[pixel * 12 + (channel + i)]",
        "out1[pixel * 12 + channel]"},
       {"the value in the middle stored too late", "+ (channel + i)] = v1;",
        "+ (channel + i)] = v2;"}});
}

} // namespace
} // namespace netc
