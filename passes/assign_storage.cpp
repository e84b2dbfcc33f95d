// Chooses what memory holds rounded. Of images and features a contraction in TF32 or bf16 rounds
// every element that it reads, each as often as it reads it; rounded by who writes them, they go to
// the matrix instructions as they come from memory, and in bf16 they are half the bytes. Weights,
// their gradients, losses and what leaves the device stay f32.

#include "ir/ops.h"
#include "passes/passes.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace netc {

namespace {

/// A contraction and the values of the graph that are its images or features.
struct Contraction {
  const Node* node;          ///< The member, where it is fused.
  const Node* outer;         ///< The node of the graph.
  std::vector<Value*> data;  ///< Operands.
  Value* weights = nullptr;  ///< Null of a weight gradient.
  std::optional<DType> type; ///< To which it rounds its operands, if it does.

  bool is_weight_gradient() const { return !weights; }
};

std::optional<DType> rounded_type(const Node& contraction) {
  switch (parse_precision(contraction.attrs.text("precision"))) {
  case Precision::tf32:
    return DType::tf32;
  case Precision::bf16:
    return DType::bf16;
  case Precision::fp32:
  case Precision::x3tf32:
    break;
  }
  return std::nullopt;
}

std::vector<Contraction> contractions_of(const Graph& graph) {
  std::vector<Contraction> list;
  auto add = [&](const Node& node, const Node& outer) {
    auto operand = [&](size_t i) {
      const Value* value = node.operands[i]; // an argument, where the node is fused
      return &node == &outer
                 ? node.operands[i]
                 : outer.operands[static_cast<size_t>(value->node->attrs.integer("index"))];
    };
    Contraction c{&node, &outer, {operand(0)}, nullptr, rounded_type(node)};
    const bool weight_gradient =
        node.op == &ops::conv2d_weight_gradient || node.op == &ops::linear_weight_gradient;
    if (weight_gradient)
      c.data.push_back(operand(1));
    else
      c.weights = operand(1);
    list.push_back(std::move(c));
  };
  for (const auto& node : graph.nodes) {
    if (node->op->is_contraction())
      add(*node, *node);
    else if (node->body)
      for (const auto& member : node->body->nodes)
        if (member->op->is_contraction())
          add(*member, *node);
  }
  return list;
}

class Storage {
public:
  explicit Storage(Graph& graph) : graph_(graph), contractions_(contractions_of(graph)) {
    refuse_what_leaves();
    for (const Contraction& c : contractions_)
      ask(c);
    settle();
    follow_moves();
  }

  /// Sets what was chosen; how many values that are.
  int apply() {
    int count = 0;
    for (const auto& node : graph_.nodes) {
      for (const auto& result : node->results)
        if (std::optional<DType> type = chosen(*result)) {
          result->storage = type;
          ++count;
        }
      if (node->body)
        for (const auto& member : node->body->nodes)
          if (member->op == &ops::argument)
            member->result()->storage =
                node->operands[static_cast<size_t>(member->attrs.integer("index"))]->storage;
    }
    return count;
  }

private:
  std::optional<DType> chosen(const Value& value) const {
    auto it = asked_.find(&value);
    return it == asked_.end() || refused_.count(&value) ? std::nullopt : std::optional(it->second);
  }

  /// State, feeds, outputs, what other devices read or write, losses and counts.
  void refuse_what_leaves() {
    for (const auto& node : graph_.nodes) {
      const bool exchange = node->op == &ops::exchange;
      const bool source = node->operands.empty();
      for (const auto& result : node->results) {
        const TensorType& type = result->type;
        const bool image = type.shape.size() == 4 && result->layout == Layout::nhwc;
        if (exchange || source || type.dtype != DType::f32 || !(image || type.shape.size() == 2))
          refused_.insert(result.get());
      }
      // Losses and accuracies are numbers of a batch; so are sums over channels, which may round.
      const bool counts = !node->results.empty() && node->result()->type.shape.size() < 2 &&
                          node->op != &ops::channel_sum;
      if (exchange || counts)
        refused_.insert(node->operands.begin(), node->operands.end());
    }
    for (const Graph::Output& output : graph_.outputs)
      refused_.insert(output.value);
    for (const Graph::Store& store : graph_.stores)
      refused_.insert(store.value);
  }

  void ask(const Value& value, std::optional<DType> type) {
    if (!type || asked_.emplace(&value, *type).first->second != *type)
      refused_.insert(&value);
  }

  void ask(const Contraction& c) {
    const int64_t groups =
        c.node->attrs.has("groups") ? c.node->attrs.integer("groups") : int64_t{1};
    if (c.weights)
      refused_.insert(c.weights);
    for (const Value* value : c.data) {
      // Copies to shared memory move 16 bytes, the neighbours of one group.
      const int64_t run = c.type == DType::bf16 ? 8 : 4;
      if (value->type.shape[1] / groups % run != 0)
        refused_.insert(value);
      ask(*value, c.type);
    }
    // Results that no contraction reads: images alone, which are what takes time to move.
    if (c.type == DType::bf16 && !c.is_weight_gradient())
      for (const auto& result : c.outer->results)
        if (result->type.shape.size() == 4)
          ask(*result, c.type);
  }

  /// The instructions of a bf16 weight gradient take both operands from shared memory: both are
  /// bf16 there, or none.
  void settle() {
    for (bool changed = true; changed;) {
      changed = false;
      for (const Contraction& c : contractions_)
        if (c.type == DType::bf16 && c.is_weight_gradient() &&
            chosen(*c.data[0]).has_value() != chosen(*c.data[1]).has_value()) {
          refused_.insert(c.data.begin(), c.data.end());
          changed = true;
        }
    }
  }

  /// What is only brought into another shape stays as it is.
  void follow_moves() {
    for (const auto& node : graph_.nodes) {
      if (node->op != &ops::flatten && node->op != &ops::reshape)
        continue;
      const Value &from = *node->operands[0], &to = *node->result();
      for (auto [known, other] : {std::pair{&from, &to}, {&to, &from}})
        if (chosen(*known) == DType::bf16 && !asked_.count(other))
          ask(*other, DType::bf16);
    }
  }

  Graph& graph_;
  std::vector<Contraction> contractions_;
  std::unordered_map<const Value*, DType> asked_;
  std::unordered_set<const Value*> refused_;
};

} // namespace

int assign_storage(Graph& graph, PassContext& context) {
  if (context.exact || !context.target.has_warpgroups() || !context.may_rewrite())
    return 0;
  return Storage(graph).apply();
}

} // namespace netc
