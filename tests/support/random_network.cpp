#include "tests/support/random_network.h"

#include "ir/ops.h"

namespace netc::test {

namespace {

using Ints = std::vector<int64_t>;

class NetworkBuilder {
public:
  explicit NetworkBuilder(uint64_t seed) : random_(seed), graph_("random"), builder_(graph_) {
    contractions_ = seed % 3 == 0;
  }

  Graph build() {
    // Few shapes, so that kernels of the unfused graphs are found in the cache.
    Value* x = leaf(ops::feed, "x", {2, one_of({5, 8}), 7, 6}, DType::f32);
    seed_ = leaf(ops::feed, "seed", {2}, DType::i32);
    step_ = leaf(ops::feed, "step", {1}, DType::i32);
    Value* labels = leaf(ops::feed, "labels", {2}, DType::i32);
    Value* value = contractions_ ? convolution(x) : bias(x);
    int length = 2 + static_cast<int>(random_() % 5);
    for (int i = 0; i < length; ++i) {
      earlier_.push_back(value);
      value = extend(value);
      if (random_() % 6 == 0 && value->node->op != &ops::feed)
        graph_.outputs.push_back({fmt::format("middle{}", i), value});
    }
    Value* flat = apply(ops::flatten, {value});
    if (contractions_)
      flat = classifier(flat);
    Value* loss = apply(ops::softmax_cross_entropy, {flat, labels});
    graph_.outputs.push_back({"loss", loss});
    return std::move(graph_);
  }

private:
  int64_t one_of(std::initializer_list<int64_t> list) {
    return list.begin()[random_() % list.size()];
  }

  Value* leaf(const OpDef& op, const std::string& name, Shape shape, DType dtype) {
    return builder_.value(op, name, {},
                          {{"shape", Ints(shape)}, {"dtype", std::string(to_string(dtype))}});
  }
  Value* parameter(Shape shape) {
    return leaf(ops::parameter, fmt::format("parameter{}", parameters_++), std::move(shape),
                DType::f32);
  }
  Value* apply(const OpDef& op, std::vector<Value*> operands, Attributes attrs = {}) {
    return builder_.value(op, fmt::format("{}{}", op.name, nodes_++), std::move(operands),
                          std::move(attrs));
  }

  Value* bias(Value* x) { return apply(ops::bias, {x, parameter({x->type.shape[1]})}); }

  Value* convolution(Value* x) {
    int64_t kernel = one_of({1, 3});
    Value* w = parameter({one_of({5, 8}), x->type.shape[1], kernel, kernel});
    Value* y = apply(ops::conv2d, {x, w}, {{"pad", Ints(4, kernel / 2)}});
    return random_() % 4 == 0 ? y : bias(y);
  }

  Value* classifier(Value* x) {
    Value* y = bias(apply(ops::linear, {x, parameter({10, x->type.shape[1]})}));
    if (random_() % 2)
      y = dropout(apply(ops::relu, {y}));
    return bias(apply(ops::linear, {y, parameter({7, 10})}));
  }

  Value* dropout(Value* x) {
    Attributes attrs{{"rate", random_() % 2 ? 0.5 : 0.25},
                     {"mode", std::string(random_() % 2 ? "classic" : "inverted")},
                     {"stream", int64_t{dropouts_++}}};
    return apply(ops::dropout, {x, seed_, step_}, attrs);
  }

  Value* lrn(Value* x) {
    int64_t groups = x->type.shape[1] % 2 == 0 ? one_of({1, 2}) : 1;
    return apply(ops::lrn, {x},
                 {{"n", one_of({3, 5})},
                  {"k", 2.0},
                  {"alpha", 0.1},
                  {"beta", 0.75},
                  {"alpha_over_n", random_() % 2 == 0},
                  {"groups", groups}});
  }

  Value* pool(Value* x) {
    const OpDef& op = random_() % 3 ? ops::max_pool2d : ops::avg_pool2d;
    const Shape& shape = x->type.shape;
    bool small = shape[2] < 3 || shape[3] < 3;
    bool same = small || random_() % 3 == 0;
    int64_t around = small ? 1 : one_of({1, 2});
    Attributes attrs{{"kernel", same ? Ints(2, 2 * around + 1) : Ints{one_of({2, 3}), 3}},
                     {"stride", same ? Ints{1, 1} : Ints{2, one_of({1, 2})}},
                     {"pad", same ? Ints(4, around) : Ints{0, 0, 0, 0}},
                     {"rounding", std::string(random_() % 2 ? "ceil" : "floor")}};
    return apply(op, {x}, attrs);
  }

  Value* pool_as_large(Value* x) {
    return apply(
        ops::avg_pool2d, {x},
        {{"kernel", Ints{1, 3}}, {"pad", Ints{0, 0, 0, 2}}, {"rounding", std::string("floor")}});
  }

  /// Joins `x` with a value of the same pixels, or with a map of itself.
  Value* join(Value* x) {
    std::vector<Value*> same_shape, same_pixels;
    for (Value* other : earlier_) {
      if (other->type == x->type)
        same_shape.push_back(other);
      if (other->type.shape[2] == x->type.shape[2] && other->type.shape[3] == x->type.shape[3])
        same_pixels.push_back(other);
    }
    if (random_() % 3 == 0) {
      Value* y = pool(x);
      return y->type == x->type ? apply(ops::add, {y, random_() % 2 ? x : pool_as_large(x)}) : y;
    }
    if (random_() % 2 && !same_shape.empty())
      return apply(ops::add, {x, same_shape[random_() % same_shape.size()]});
    if (random_() % 2 && !same_pixels.empty())
      return apply(ops::concat, {same_pixels[random_() % same_pixels.size()], x});
    return apply(ops::add, {x, apply(ops::relu, {x})});
  }

  Value* extend(Value* x) {
    switch (random_() % 12) {
    case 0:
    case 1:
      return apply(ops::relu, {x});
    case 2:
      return apply(ops::tanh, {x});
    case 3:
      return apply(ops::sigmoid, {x});
    case 4:
      return apply(ops::scale, {x}, {{"factor", 1.5}});
    case 5:
      return dropout(x);
    case 6:
      return lrn(x);
    case 7:
    case 8:
      return pool(x);
    case 9:
    case 10:
      return join(x);
    default:
      return contractions_ ? convolution(x) : bias(x);
    }
  }

  Random random_;
  Graph graph_;
  GraphBuilder builder_;
  bool contractions_ = false;
  int parameters_ = 0, nodes_ = 0, dropouts_ = 0;
  Value *seed_ = nullptr, *step_ = nullptr;
  std::vector<Value*> earlier_;
};

} // namespace

Graph random_network(uint64_t seed) {
  return NetworkBuilder(seed).build();
}

Tensors random_inputs(const Graph& graph, Random& random) {
  Tensors inputs;
  for (const auto& node : graph.nodes) {
    if (node->op != &ops::feed && node->op != &ops::parameter)
      continue;
    const Value& value = *node->result();
    Draw how = uniform(-1, 1);
    if (value.type.dtype == DType::i32)
      how = integers(0, value.name == "labels" ? 6 : 1'000'000);
    else if (value.name.find(".momentum") != std::string::npos)
      how = uniform(0, 0);
    else if (value.name == "rate")
      how = values({1});
    else if (value.type.shape.size() > 1 && node->op == &ops::parameter)
      how = uniform(-0.5, 0.5);
    inputs[value.name] = draw(value.type, how, random);
  }
  return inputs;
}

} // namespace netc::test
