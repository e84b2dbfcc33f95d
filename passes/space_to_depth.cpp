// A strided convolution over the input image becomes one of stride 1 over blocks of its pixels, for
// GPUs: three channels cannot be copied by 16 bytes, the 48 of AlexNet's blocks of 4 x 4 can. The
// kernel grows to whole blocks (11 -> 12, by zeros), which is 19 % more products. Input and weights
// are rearranged by the kernels that make them anyway, or are small.

#include "ir/ops.h"
#include "passes/passes.h"

#include <algorithm>

namespace netc {

namespace {

/// The block that divides a convolution's stride out, or 0 when it does not suit.
int64_t block_of(const Node& conv) {
  const Shape &x = conv.operands[0]->type.shape, &w = conv.operands[1]->type.shape;
  auto all = [&](const char* attr, int64_t value) {
    const std::vector<int64_t>& list = conv.attrs.integers(attr);
    return std::all_of(list.begin(), list.end(), [=](int64_t v) { return v == value; });
  };
  const int64_t block = conv.attrs.integers("stride")[0];
  const bool suits = block > 1 && all("stride", block) && all("pad", 0) && all("dilation", 1) &&
                     conv.attrs.integer("groups") == 1 && x[1] % 4 != 0;
  if (!suits)
    return 0;
  // The blocks that the kernels cover must be those that the image has, the last one in part.
  auto fits = [&](size_t dim) {
    const int64_t blocks = (x[dim] + block - 1) / block, kernel = (w[dim] + block - 1) / block;
    return blocks - kernel + 1 == conv.result()->type.shape[dim];
  };
  return fits(2) && fits(3) ? block : 0;
}

/// Puts `with` in the place of a node, under its name.
void replace(Graph& graph, Node& node, Value* with) {
  const std::string name = node.name;
  graph.replace_uses(node.result(), with);
  graph.remove_if([&](const Node& n) { return &n == &node; });
  with->name = with->node->name = name;
}

void rewrite(Graph& graph, Node& image, Node& conv, int64_t block) {
  GraphBuilder before_image(graph, image.loc, &image), before_conv(graph, conv.loc, &conv);
  Attributes image_attrs = image.attrs, conv_attrs = conv.attrs;
  image_attrs.set("block", block);
  conv_attrs.set("stride", std::vector<int64_t>{1, 1});
  Value* x = before_image.value(ops::input_image, image.name, image.operands, image_attrs);
  Value* w = before_conv.value(ops::space_to_depth, conv.name + ".blocks", {conv.operands[1]},
                               {{"block", block}});
  Value* y = before_conv.value(ops::conv2d, conv.name, {x, w}, conv_attrs);
  replace(graph, conv, y);
  replace(graph, image, x);
}

} // namespace

int space_to_depth(Graph& graph, PassContext& context) {
  if (!context.target.has_cuda_text() || context.exact)
    return 0;
  std::vector<std::pair<Node*, Node*>> found;
  const auto users = graph.users();
  const auto counts = graph.use_counts();
  for (const auto& node : graph.nodes) {
    if (node->op != &ops::input_image || counts.at(node->result()) != 1)
      continue;
    Node* user = users.count(node->result()) ? users.at(node->result())[0] : nullptr;
    if (user && user->op == &ops::conv2d && user->operands[0] == node->result() && block_of(*user))
      found.emplace_back(node.get(), user);
  }
  int rewrites = 0;
  for (auto [image, conv] : found) {
    if (!context.may_rewrite())
      break;
    rewrite(graph, *image, *conv, block_of(*conv));
    ++rewrites;
  }
  return rewrites;
}

} // namespace netc
