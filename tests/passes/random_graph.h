#pragma once
// Random small classification networks with branches, from a seed.

#include "tests/passes/pass_support.h"

namespace netc::test {

/// Builds a forward graph of `size` random nodes over images [2, c, h, w], with a loss, and now and
/// then an intermediate value among the outputs.
class RandomGraph {
public:
  explicit RandomGraph(unsigned seed) : random_(seed), graph_(fmt::format("random{}", seed)) {}

  Graph build(int size) {
    GraphBuilder b(graph_);
    images_.push_back(feed("x", "f32", {2, 2 * pick(1, 3), pick(3, 8), pick(3, 8)}));
    seed_ = feed("seed", "i32", {2});
    step_ = feed("step", "i32", {1});
    Value* labels = feed("labels", "i32", {2});
    for (int i = 0; i < size; ++i)
      images_.push_back(random_node(fmt::format("n{}", i)));
    Value* last = b.value(ops::flatten, "flat", {images_.back()});
    last = linear("fc1", last, 6);
    last = b.value(ops::relu, "fc1.relu", {last});
    last = linear("fc2", last, 3);
    Node* loss = b.apply(ops::softmax_cross_entropy, "loss", {last, labels});
    graph_.outputs.push_back({"loss", loss->result()});
    graph_.outputs.push_back({"probabilities", loss->result(1)});
    if (pick(0, 2) == 0)
      add_output();
    return std::move(graph_);
  }

private:
  int64_t pick(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_() % static_cast<uint64_t>(high - low + 1));
  }
  /// Mostly one of the latest values, so that the graph is deep.
  Value* some() {
    int64_t count = static_cast<int64_t>(images_.size());
    return images_[static_cast<size_t>(count - 1 - pick(0, std::min<int64_t>(count - 1, 2)))];
  }
  void add_output() {
    Value* value = some();
    if (value->node->op != &ops::feed)
      graph_.outputs.push_back({"extra", value});
  }

  Value* feed(const std::string& name, const std::string& dtype, std::vector<int64_t> shape) {
    return GraphBuilder(graph_).value(ops::feed, name, {}, {{"shape", shape}, {"dtype", dtype}});
  }
  Value* parameter(const std::string& name, std::vector<int64_t> shape) {
    return GraphBuilder(graph_).value(ops::parameter, name, {},
                                      {{"shape", shape}, {"decay", pick(0, 1) * 1.0}});
  }
  Value* with_bias(const std::string& name, Value* x) {
    Value* bias = parameter(name + ".bias", {x->type.shape[1]});
    return GraphBuilder(graph_).value(ops::bias, name + ".add_bias", {x, bias});
  }
  Value* linear(const std::string& name, Value* x, int64_t features) {
    Value* weight = parameter(name + ".weight", {features, x->type.shape[1]});
    return with_bias(name, GraphBuilder(graph_).value(ops::linear, name, {x, weight}));
  }

  Value* conv(const std::string& name, Value* x) {
    const Shape& s = x->type.shape;
    int64_t groups = s[1] % 2 == 0 && pick(0, 1) ? 2 : 1, filters = 2 * pick(1, 3);
    int64_t kernel = pick(1, std::min<int64_t>({3, s[2], s[3]})), pad = pick(0, kernel - 1);
    Value* weight = parameter(name + ".weight", {filters, s[1] / groups, kernel, kernel});
    Value* y = GraphBuilder(graph_).value(ops::conv2d, name, {x, weight},
                                          {{"groups", groups},
                                           {"stride", std::vector<int64_t>(2, pick(1, 2))},
                                           {"pad", std::vector<int64_t>(4, pad)}});
    return pick(0, 3) ? with_bias(name, y) : y;
  }

  Value* pool(const std::string& name, Value* x) {
    int64_t kernel = pick(2, 3), stride = pick(1, 2);
    if (x->type.shape[2] < kernel || x->type.shape[3] < kernel)
      return activation(name, x);
    Attributes attrs = {{"kernel", std::vector<int64_t>(2, kernel)},
                        {"stride", std::vector<int64_t>(2, stride)},
                        {"rounding", std::string(pick(0, 1) ? "floor" : "ceil")}};
    bool max = pick(0, 2) > 0;
    if (!max)
      attrs.set("divisor", std::string(pick(0, 1) ? "full" : "clipped"));
    return GraphBuilder(graph_).value(max ? ops::max_pool2d : ops::avg_pool2d, name, {x}, attrs);
  }

  Value* activation(const std::string& name, Value* x) {
    const OpDef* op = pick(0, 2) ? &ops::relu : pick(0, 1) ? &ops::tanh : &ops::sigmoid;
    return GraphBuilder(graph_).value(*op, name, {x});
  }

  Value* lrn(const std::string& name, Value* x) {
    return GraphBuilder(graph_).value(ops::lrn, name, {x},
                                      {{"n", int64_t{3}},
                                       {"k", 2.0},
                                       {"alpha", 0.1},
                                       {"beta", 0.75},
                                       {"alpha_over_n", pick(0, 1) == 1}});
  }

  /// The sum or the channels of two values, as their shapes allow.
  Value* join(const std::string& name, Value* x) {
    Value* y = some();
    const Shape &s = x->type.shape, &t = y->type.shape;
    GraphBuilder b(graph_);
    if (s == t)
      return b.value(ops::add, name, {x, y});
    if (s[2] == t[2] && s[3] == t[3] && s[1] + t[1] <= 12)
      return b.value(ops::concat, name, {x, y});
    return b.value(ops::add, name,
                   {x, b.value(ops::scale, name + ".half", {x}, {{"factor", 0.5}})});
  }

  Value* random_node(const std::string& name) {
    Value* x = some();
    GraphBuilder b(graph_);
    switch (pick(0, 11)) {
    case 0:
    case 1:
    case 2:
      return conv(name, x);
    case 3:
    case 4:
      return activation(name, x);
    case 5:
      return lrn(name, x);
    case 6:
    case 7:
      return pool(name, x);
    case 8:
      return join(name, x);
    case 9:
      return b.value(ops::scale, name, {x}, {{"factor", pick(0, 2) * 0.5 + 0.5}});
    case 10: {
      Value* c = b.value(ops::constant, name + ".c", {},
                         {{"value", 0.25}, {"shape", std::vector<int64_t>(x->type.shape)}});
      c = b.value(ops::scale, name + ".c2", {c}, {{"factor", 3.0}});
      return b.value(ops::add, name, {x, c});
    }
    default:
      return b.value(ops::dropout, name, {x, seed_, step_},
                     {{"rate", 0.25},
                      {"stream", pick(0, 5)},
                      {"mode", std::string(pick(0, 1) ? "classic" : "inverted")}});
    }
  }

  std::mt19937_64 random_;
  Graph graph_;
  std::vector<Value*> images_;
  Value *seed_ = nullptr, *step_ = nullptr;
};

} // namespace netc::test
