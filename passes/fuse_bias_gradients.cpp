// The gradient of a convolution's bias is the sum of what its weight gradient multiplies with the
// images. On GPUs the weight gradient's kernel computes both: a row of ones costs its product
// little or nothing, and the gradient, of which the sum would have to read every byte again, is
// not.

#include "ir/ops.h"
#include "passes/fusion.h"
#include "passes/passes.h"

#include <algorithm>

namespace netc {

namespace {

/// Whether all that a pair reads is there before the first of the two.
bool can_join(const Node& weight_gradient, const Node& sum, const Positions& positions) {
  const size_t start = std::min(positions.at(&weight_gradient), positions.at(&sum));
  return std::all_of(weight_gradient.operands.begin(), weight_gradient.operands.end(),
                     [&](const Value* operand) { return positions.at(operand->node) < start; });
}

/// Whether a row of ones costs the product little, or nothing: tiles have 64 rows of few, else 128
/// or 256. Where they are whole, one more is needed, which is much unless there are many. With one
/// tap, rows are output channels.
bool has_room(const Node& weight_gradient) {
  constexpr int64_t many_rows = 2048;
  const Shape& weights = weight_gradient.result()->type.shape;
  const int64_t taps = weights[2] * weights[3], rows = taps * weights[1];
  return taps > 1 && (rows % (rows <= 64 ? 64 : 128) != 0 || rows >= many_rows);
}

/// Whether the product takes the gradient as memory holds it: it does not round what is summed. (Of
/// 3xTF32 its two parts differ from it by 2^-22.)
bool takes_as_held(const Node& weight_gradient) {
  const std::string& text = weight_gradient.attrs.text("precision");
  if (text == "default")
    return false;
  switch (parse_precision(text)) {
  case Precision::fp32:
  case Precision::x3tf32:
    return true;
  case Precision::tf32:
  case Precision::bf16:
    break;
  }
  return weight_gradient.operands[1]->storage.has_value();
}

} // namespace

int fuse_bias_gradients(Graph& graph, PassContext& context) {
  if (context.exact || !context.target.has_cuda_text())
    return 0;
  const Positions positions = positions_of(graph);
  auto users = graph.users();
  const auto uses = graph.use_counts();
  auto is_read = [&](const Value* value) {
    const auto it = uses.find(value);
    return it != uses.end() && it->second > 0;
  };
  std::vector<std::vector<Node*>> pairs;
  std::unordered_set<const Node*> taken;
  for (const auto& node : graph.nodes) {
    if (node->op != &ops::conv2d_weight_gradient || !has_room(*node) || !takes_as_held(*node) ||
        !is_read(node->result()))
      continue;
    const std::vector<Node*>& readers = users[node->operands[1]];
    const auto sum = std::find_if(readers.begin(), readers.end(), [&](const Node* reader) {
      return reader->op == &ops::channel_sum && !taken.count(reader) && is_read(reader->result()) &&
             can_join(*node, *reader, positions);
    });
    if (sum == readers.end())
      continue;
    taken.insert(*sum);
    pairs.push_back({node.get(), *sum});
  }
  int rewrites = 0;
  for (const std::vector<Node*>& pair : pairs) {
    if (!context.may_rewrite())
      break;
    fuse(graph, pair, "contraction", pair.front());
    ++rewrites;
  }
  if (rewrites > 0)
    sort_topologically(graph);
  return rewrites;
}

} // namespace netc
