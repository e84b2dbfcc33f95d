// Cases of the parts of the loss and of top-k accuracy; and that the shares of a sum, added up as a
// tree, are the sum.

#include "ir/ops.h"
#include "tests/support/op_harness.h"
#include "tests/support/run_graph.h"

#include <gtest/gtest.h>

namespace netc::test {
namespace {

OperandCase logits(int64_t samples, int64_t classes) {
  return feed({samples, classes}, distinct());
}
OperandCase labels(int64_t samples, int64_t lo, int64_t hi) {
  return integers_feed({samples}, integers(lo, hi));
}
/// Sums of exponentials.
OperandCase sums(int64_t samples) {
  return feed({samples}, uniform(0.5, 40));
}

std::vector<OpCase> cases_of(int64_t samples, int64_t classes) {
  const OperandCase some = feed({samples}), one = feed({1});
  const OperandCase label = labels(samples, -1, classes - 1);
  const OperandCase rank = feed({samples}, integers(0, 5));
  const OperandCase count = feed({1}, integers(0, samples));
  const Attributes first = {{"first_class", int64_t{3}}};
  return {
      {&ops::class_max, {logits(samples, classes)}},
      {&ops::class_exp_sum, {logits(samples, classes), some}, {{"blocks", int64_t{2}}}},
      {&ops::label_logit, {logits(samples, classes), label}},
      {&ops::label_logit, {logits(samples, classes), labels(samples, -1, classes + 5)}, first},
      {&ops::softmax_of, {logits(samples, classes), some, sums(samples)}},
      {&ops::label_count, {label}, {{"blocks", int64_t{4}}}},
      {&ops::label_loss, {some, sums(samples), some, label}, {{"blocks", int64_t{1}}}},
      {&ops::mean_loss, {one, count}},
      {&ops::class_gradient, {logits(samples, classes), label, count, one}},
      {&ops::class_gradient,
       {logits(samples, classes), labels(samples, -1, classes + 5), count, one},
       first},
      {&ops::label_rank, {logits(samples, classes), some, label}},
      {&ops::label_rank, {logits(samples, classes), some, labels(samples, -1, classes + 5)}, first},
      {&ops::rank_below, {rank, label}, {{"k", int64_t{2}}}},
  };
}

std::vector<OpCase> cases() {
  std::vector<OpCase> list;
  for (auto [samples, classes] : {std::pair<int64_t, int64_t>{1, 1}, {7, 13}, {5, 1000}, {129, 4}})
    for (OpCase& description : cases_of(samples, classes))
      list.push_back(std::move(description));
  // No label counts; equal logits, of which the lower class ranks first.
  list.push_back({&ops::mean_loss, {feed({1}), feed({1}, values({0}))}});
  list.push_back({&ops::label_rank,
                  {feed({3, 4}, values({2, 1, 2, 2, 0, 0, 0, 0, 1, 3, 3, 3})),
                   feed({3}, values({2, 0, 3})), integers_feed({3}, values({2, 0, 3}))}});
  return list;
}

const OpTests tests("class_parts", cases);

/// A reduction of whole tensors and of their shares, and how a device finds its own.
struct Cut {
  const OpDef* op;
  std::vector<OperandCase> operands;
  Attributes attrs;
  int dim; ///< 0: cut by samples, 1: by classes.
};

std::vector<Cut> cuts() {
  const int64_t samples = 232, classes = 40;
  const OperandCase x = feed({samples, classes}, uniform(-4, 4)), label = labels(samples, -1, 39);
  const OperandCase vector = feed({samples}, uniform(0.5, 4));
  // Losses whose sum is no larger than the partial sums, so that it shows how these are rounded.
  const OperandCase far = feed({samples}, uniform(-1000, 1000));
  return {
      {&ops::class_max, {x}, {}, 1},
      {&ops::class_exp_sum, {x, vector}, {}, 1},
      {&ops::label_logit, {x, label}, {}, 1},
      {&ops::label_rank, {x, vector, label}, {}, 1},
      {&ops::label_count, {label}, {}, 0},
      {&ops::label_loss, {far, vector, far, label}, {}, 0},
      {&ops::rank_below, {feed({samples}, integers(0, 9)), label}, {{"k", int64_t{5}}}, 0},
  };
}

/// Share `index` of `count` of a tensor, cut along dimension `dim`; all of it where there is none.
RefTensor share_of(const RefTensor& whole, int dim, int64_t count, int64_t index) {
  if (dim >= static_cast<int>(whole.type.shape.size()))
    return whole;
  RefTensor share{whole.type, {}};
  const int64_t extent = share.type.shape[static_cast<size_t>(dim)] /= count;
  const int64_t columns = dim == 1 ? whole.type.shape[1] : extent * count;
  for (size_t i = 0; i < whole.data.size(); ++i)
    if (static_cast<int64_t>(i) % columns / extent == index)
      share.data.push_back(whole.data[i]);
  return share;
}

/// Adds `op` over tensors of that name to a graph, its result an output of the same name.
void add_part(Graph& graph, Tensors& inputs, const OpDef& op, const std::string& name,
              const std::vector<RefTensor>& tensors, const Attributes& attrs) {
  GraphBuilder builder(graph);
  std::vector<Value*> operands;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const std::string feed = fmt::format("{}.in{}", name, i);
    operands.push_back(builder.value(ops::feed, feed, {},
                                     {{"shape", tensors[i].type.shape},
                                      {"dtype", std::string(to_string(tensors[i].type.dtype))}}));
    inputs[feed] = tensors[i];
  }
  graph.outputs.push_back({name, builder.value(op, name, operands, attrs)});
}

/// The shares' results, combined two by two as devices do.
std::vector<double> combined(const Tensors& results, const std::string& name, bool maximum,
                             int64_t begin, int64_t end) {
  if (end - begin == 1)
    return results.at(fmt::format("{}.share{}", name, begin)).data;
  std::vector<double> left = combined(results, name, maximum, begin, (begin + end) / 2);
  const std::vector<double> right = combined(results, name, maximum, (begin + end) / 2, end);
  for (size_t i = 0; i < left.size(); ++i) {
    const float a = static_cast<float>(left[i]), b = static_cast<float>(right[i]);
    left[i] = static_cast<double>(maximum ? std::max(a, b) : a + b);
  }
  return left;
}

void expect_shares_add_up(const std::string& target, int64_t count) {
  SCOPED_TRACE(fmt::format("{}, {} shares", target, count));
  Graph graph("shares");
  Tensors inputs;
  Random random(11);
  for (const Cut& cut : cuts()) {
    std::vector<RefTensor> whole;
    for (const OperandCase& operand : cut.operands)
      whole.push_back(draw(operand.type, operand.draw, random));
    add_part(graph, inputs, *cut.op, cut.op->name, whole, cut.attrs);
    for (int64_t s = 0; s < count; ++s) {
      std::vector<RefTensor> shares;
      for (const RefTensor& tensor : whole)
        shares.push_back(share_of(tensor, cut.dim, count, s));
      Attributes attrs = cut.attrs;
      for (const AttrDef& attr : cut.op->attrs) {
        if (attr.name == "blocks")
          attrs.set("blocks", 8 / count);
        if (attr.name == "first_class")
          attrs.set("first_class", s * shares[0].type.shape[1]);
      }
      add_part(graph, inputs, *cut.op, fmt::format("{}.share{}", cut.op->name, s), shares, attrs);
    }
  }
  const RunOptions options{.target = parse_target(target), .exact = true};
  const Tensors results = compile(prepare_graph(graph, options), options).run(inputs);
  for (const Cut& cut : cuts())
    EXPECT_EQ(results.at(cut.op->name).data,
              combined(results, cut.op->name, cut.op == &ops::class_max, 0, count))
        << cut.op->name;
}

TEST(ClassParts, SharesAddUpToTheWhole) {
  for (const char* target : {"cpu", "emu"})
    for (int64_t count : {2, 4, 8})
      expect_shares_add_up(target, count);
}

std::string error_of(const OpDef& op, const std::vector<TensorType>& operands, Attributes attrs) {
  Diagnostics diagnostics;
  InferContext context{op, operands, attrs, {}, diagnostics, op.name};
  infer_node(context);
  return diagnostics.render();
}

TEST(ClassParts, RefuseWhatDoesNotFit) {
  const TensorType x{DType::f32, {4, 6}}, vector{DType::f32, {4}}, labels{DType::i32, {4}};
  EXPECT_EQ(error_of(ops::class_exp_sum, {x, vector}, {}), "");
  const auto expect = [](const std::string& error, const char* part) {
    EXPECT_NE(error.find(part), std::string::npos) << error;
  };
  expect(error_of(ops::class_exp_sum, {x, {DType::f32, {6}}}, {}),
         "operand `maximum` is f32[6], expected f32[4]");
  expect(error_of(ops::label_logit, {x, vector}, {}), "expected i32[4]");
  expect(error_of(ops::mean_loss, {vector, {DType::f32, {1}}}, {}), "expected f32[1]");
  expect(error_of(ops::class_max, {vector}, {}), "expected rank 2");
  for (int64_t blocks : {0, 3, 5, 6, 7, 16})
    expect(error_of(ops::label_count, {labels}, {{"blocks", blocks}}), "must be 1, 2, 4 or 8");
}

} // namespace
} // namespace netc::test
