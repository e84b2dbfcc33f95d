// The kernels of every operator and its gradient, compiled by NVRTC for every kind of GPU, each by
// itself. It needs no GPU.

#include "ir/ops.h"
#include "tests/codegen/nvrtc_matrix.h"
#include "tests/support/op_harness.h"
#include "tests/support/run_graph.h"

#include <set>

namespace netc::test {
namespace {

std::vector<int64_t> pair(int64_t n) {
  return {n, n};
}

std::vector<OpCase> image_cases() {
  const Attributes lrn = {{"n", int64_t{5}},      {"k", 2.0},
                          {"alpha", 1e-4},        {"beta", 0.75},
                          {"groups", int64_t{2}}, {"alpha_over_n", false}};
  const Attributes pool = {
      {"kernel", pair(3)}, {"stride", pair(2)}, {"rounding", std::string("ceil")}};
  OperandCase stored = integers_feed({2, 3, 9, 8}, integers(0, 255));
  stored.type.dtype = DType::u8;
  return {
      {&ops::conv2d,
       {feed({2, 6, 9, 8}), parameter({10, 3, 3, 3})},
       {{"groups", int64_t{2}}, {"stride", pair(2)}, {"pad", std::vector<int64_t>{1, 0, 2, 1}}}},
      {&ops::input_image,
       {stored, integers_feed({2}, integers(0, 9)), integers_feed({2}, integers(0, 9)),
        integers_feed({2}, values({1, 2})), parameter({3})},
       {{"height", int64_t{6}},
        {"width", int64_t{5}},
        {"random_crop", true},
        {"flip", true},
        {"scale", 0.5}}},
      {&ops::bias, {feed({2, 6, 5, 5}), parameter({6})}},
      {&ops::lrn, {feed({2, 6, 5, 5})}, lrn},
      {&ops::max_pool2d, {feed({2, 6, 8, 8})}, pool},
      {&ops::avg_pool2d, {feed({2, 6, 8, 8})}, pool},
      {&ops::concat, {feed({2, 3, 4, 4}), feed({2, 5, 4, 4})}},
      {&ops::flatten, {feed({2, 3, 4, 5})}},
      {&ops::reshape, {feed({2, 60})}, {{"shape", std::vector<int64_t>{3, 4, 5}}}},
      {&ops::softmax, {feed({2, 6, 3, 3})}},
      {&ops::space_to_depth, {feed({2, 3, 9, 8})}, {{"block", int64_t{4}}}},
      {&ops::depth_to_space,
       {feed({2, 12, 3, 4})},
       {{"block", int64_t{2}}, {"height", int64_t{5}}, {"width", int64_t{8}}}},
  };
}

std::vector<OpCase> feature_cases() {
  const OperandCase labels = integers_feed({4}, integers(0, 9));
  return {
      {&ops::constant, {}, {{"shape", std::vector<int64_t>{3, 4}}, {"value", 0.25}}},
      {&ops::linear, {feed({4, 12}), parameter({10, 12})}},
      {&ops::linear, {feed({16, 12}), parameter({10, 12})}},
      {&ops::relu, {feed({4, 7})}},
      {&ops::tanh, {feed({4, 7})}},
      {&ops::sigmoid, {feed({4, 7})}},
      {&ops::scale, {feed({4, 7})}, {{"factor", 0.5}}},
      {&ops::dropout,
       {feed({4, 7}), integers_feed({2}, values({1, 2})), integers_feed({1}, values({3}))},
       {{"rate", 0.5}, {"mode", std::string("inverted")}}},
      {&ops::add, {feed({4, 7}), feed({4, 7})}},
      {&ops::softmax_cross_entropy, {feed({4, 10}), labels}},
      {&ops::topk_accuracy, {feed({4, 10}), labels}, {{"k", int64_t{5}}}},
      {&ops::sgd_update,
       {parameter({5, 7}), feed({5, 7}), parameter({5, 7}), feed({1})},
       {{"momentum", 0.9}, {"decay", 5e-4}, {"rate", 1.0}}},
  };
}

std::vector<OpCase> class_part_cases() {
  const OperandCase logits = feed({4, 10}), vector = feed({4}), one = feed({1});
  const OperandCase labels = integers_feed({4}, integers(-1, 9));
  return {
      {&ops::class_max, {logits}},
      {&ops::class_exp_sum, {logits, vector}},
      {&ops::label_logit, {logits, labels}},
      {&ops::softmax_of, {logits, vector, vector}},
      {&ops::label_count, {labels}},
      {&ops::label_loss, {vector, vector, vector, labels}},
      {&ops::mean_loss, {one, one}},
      {&ops::class_gradient, {logits, labels, one, one}},
      {&ops::label_rank, {logits, vector, labels}},
      {&ops::rank_below, {vector, labels}, {{"k", int64_t{5}}}},
  };
}

std::vector<OpCase> sample_cases() {
  using Ints = std::vector<int64_t>;
  return {
      {&ops::slice_samples, {feed({6, 3, 4, 5})}, {{"ranges", Ints{0, 2, 3, 5}}}},
      {&ops::slice_samples, {feed({5, 9})}, {{"ranges", Ints{3, 5}}}},
      {&ops::join_samples, {feed({2, 3, 4, 5}), feed({1, 3, 4, 5})}, {{"runs", Ints{0, 2, 1, 1}}}},
      {&ops::accumulate, {parameter({5, 3, 2, 4}), parameter({5, 3, 2, 4})}},
  };
}

/// All tables of this file.
std::vector<std::vector<OpCase>> all_cases() {
  return {image_cases(), feature_cases(), class_part_cases(), sample_cases()};
}

void add_kernels(const Graph& graph, const Target& target, const MathMode& mode,
                 KernelSet& kernels) {
  PreparedGraph prepared =
      prepare_graph(graph, {.target = target, .precision = mode.precision, .exact = mode.exact});
  build_program(prepared.graph, prepared.context.memory, "test",
                {.target = target, .exact = mode.exact, .choose = nullptr}, kernels);
}

void expect_operators_compile(const NvrtcToolchain& nvrtc, const std::string& arch) {
  const Target target = parse_target("cuda:" + arch);
  KernelSet fast(target, false), exact(target, true);
  for (const auto& table : all_cases()) {
    const CaseGraph built = build_cases(table);
    for (const MathMode& mode : math_modes(target))
      add_kernels(built.graph, target, mode, mode.exact ? exact : fast);
  }
  expect_compile(nvrtc, "operators " + arch, fast, target, false);
  expect_compile(nvrtc, "operators " + arch + " exact", exact, target, true);
}

const bool registered = [] {
  for (const std::string arch : matrix_archs)
    register_nvrtc_test(
        arch == "sm_75" || arch == "sm_90a" ? "NvrtcOperators" : "NvrtcOperatorsSlow", arch,
        [arch](const NvrtcToolchain& nvrtc) { expect_operators_compile(nvrtc, arch); });
  return true;
}();

TEST(OperatorCases, CoverEveryOperatorWithAKernel) {
  std::set<const OpDef*> covered;
  for (const auto& table : all_cases())
    for (const auto& node : build_cases(table).graph.nodes)
      covered.insert(node->op);
  for (const OpDef* op : all_ops())
    EXPECT_TRUE(std::holds_alternative<std::monostate>(op->lower) || covered.count(op)) << op->name;
}

} // namespace
} // namespace netc::test
