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

using Positions = std::unordered_map<const Node*, size_t>;

/// Whether all that a pair reads is there before the first of the two.
bool can_join(const Node& weight_gradient, const Node& sum, const Positions& positions) {
  const size_t start = std::min(positions.at(&weight_gradient), positions.at(&sum));
  return std::all_of(weight_gradient.operands.begin(), weight_gradient.operands.end(),
                     [&](const Value* operand) { return positions.at(operand->node) < start; });
}

/// With one tap, rows of the product are output channels: there is none for ones.
bool has_taps(const Node& weight_gradient) {
  const std::vector<int64_t>& kernel = weight_gradient.attrs.integers("kernel");
  return kernel[0] * kernel[1] > 1;
}

} // namespace

int fuse_bias_gradients(Graph& graph, PassContext& context) {
  if (context.exact || !context.target.has_cuda_text())
    return 0;
  Positions positions;
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    positions[graph.nodes[i].get()] = i;
  auto users = graph.users();
  std::vector<std::vector<Node*>> pairs;
  std::unordered_set<const Node*> taken;
  for (const auto& node : graph.nodes) {
    if (node->op != &ops::conv2d_weight_gradient || !has_taps(*node))
      continue;
    const std::vector<Node*>& readers = users[node->operands[1]];
    const auto sum = std::find_if(readers.begin(), readers.end(), [&](const Node* reader) {
      return reader->op == &ops::channel_sum && !taken.count(reader) &&
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
