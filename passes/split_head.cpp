// The operators of classification become parts whose loops may be cut over devices. Whole they
// cannot be cut: a mean counts the labels of the whole batch, softmax needs the maximum and the sum
// over all classes. What several of them need is computed once.

#include "ir/ops.h"
#include "passes/passes.h"

#include <map>

namespace netc {

namespace {

class HeadSplitter {
public:
  explicit HeadSplitter(Graph& graph) : graph_(graph), uses_(graph.use_counts()) {}

  int split() {
    std::vector<const Node*> heads;
    for (const auto& node : graph_.nodes)
      if (is_head(*node))
        heads.push_back(node.get());
    for (const Node* head : heads)
      split(*head);
    graph_.remove_if(is_head);
    for (const auto& [value, name] : names_)
      value->name = value->node->name = name;
    return static_cast<int>(heads.size());
  }

private:
  static bool is_head(const Node& node) {
    return node.op == &ops::softmax_cross_entropy || node.op == &ops::softmax_cross_entropy_grad ||
           node.op == &ops::topk_accuracy;
  }

  void split(const Node& head) {
    if (head.op == &ops::softmax_cross_entropy)
      split_loss(head);
    else if (head.op == &ops::topk_accuracy)
      split_accuracy(head);
    else
      replace(head, 0, ops::class_gradient,
              {head.operands[0], head.operands[1], count(head), head.operands[2]});
  }

  void split_loss(const Node& head) {
    Value *logits = head.operands[0], *labels = head.operands[1];
    Value* largest = part(head, ops::class_max, "max", {logits});
    Value* sum = part(head, ops::class_exp_sum, "sum", {logits, largest});
    if (uses_.count(head.result(0))) {
      Value* total = part(head, ops::label_loss, "total", {largest, sum, own(head), labels});
      replace(head, 0, ops::mean_loss, {total, count(head)});
    }
    if (uses_.count(head.result(1)))
      replace(head, 1, ops::softmax_of, {logits, largest, sum});
  }

  void split_accuracy(const Node& head) {
    Value *logits = head.operands[0], *labels = head.operands[1];
    Value* rank = part(head, ops::label_rank, "rank", {logits, own(head), labels});
    replace(head, 0, ops::rank_below, {rank, labels}, {{"k", head.attrs.integer("k")}});
  }

  Value* own(const Node& head) {
    return part(head, ops::label_logit, "own", {head.operands[0], head.operands[1]});
  }
  Value* count(const Node& head) {
    return part(head, ops::label_count, "count", {head.operands[1]});
  }

  /// What `op` gives for these operands: made for the first head that asks.
  Value* part(const Node& head, const OpDef& op, const char* suffix,
              const std::vector<Value*>& operands) {
    Value*& value = parts_[{&op, operands}];
    if (!value)
      value = GraphBuilder(graph_, head.loc, &head)
                  .value(op, fmt::format("{}.{}", head.name, suffix), operands);
    return value;
  }

  /// Puts a node in the place of a result, whose name it takes when the head is gone.
  void replace(const Node& head, int result, const OpDef& op, std::vector<Value*> operands,
               Attributes attrs = {}) {
    const Value* old = head.result(result);
    Value* value = GraphBuilder(graph_, head.loc, &head)
                       .value(op, old->name, std::move(operands), std::move(attrs));
    graph_.replace_uses(old, value);
    names_.emplace_back(value, old->name);
  }

  Graph& graph_;
  std::unordered_map<const Value*, int> uses_;
  std::map<std::pair<const OpDef*, std::vector<Value*>>, Value*> parts_;
  std::vector<std::pair<Value*, std::string>> names_;
};

} // namespace

int split_head(Graph& graph) {
  return HeadSplitter(graph).split();
}

} // namespace netc
