#include "ir/lowering.h"

#include "ir/support/error.h"

namespace netc::kernel {

PixelShape pixel_shape(const Shape& shape) {
  switch (shape.size()) {
  case 4:
    return {shape[0], shape[2], shape[3], shape[1]};
  case 2:
    return {shape[0], 1, 1, shape[1]};
  case 1:
    return {1, 1, 1, shape[0]};
  default:
    NETC_CHECK(false, "no pixels in a tensor of rank {}", shape.size());
  }
  return {};
}

std::vector<Expr> logical_indices(size_t rank, Expr n, Expr h, Expr w, Expr c) {
  if (rank == 4)
    return {std::move(n), std::move(c), std::move(h), std::move(w)};
  if (rank == 2)
    return {std::move(n), std::move(c)};
  return {std::move(c)};
}

Part part_of(const Node& node) {
  const Shape& shape = node.result()->type.shape;
  if (!node.attrs.has("whole") || node.attrs.integers("whole").empty())
    return {shape, std::vector<int64_t>(shape.size(), 0)};
  return {node.attrs.integers("whole"), node.attrs.integers("at")};
}

Expr whole_index(const Node& node, Expr n, Expr h, Expr w, Expr c) {
  const Part part = part_of(node);
  const std::vector<Expr> indices =
      logical_indices(part.whole.size(), std::move(n), std::move(h), std::move(w), std::move(c));
  Expr index = 0;
  for (size_t d = 0; d < indices.size(); ++d)
    index = index * Expr(part.whole[d]) + (indices[d] + Expr(part.at[d]));
  return index;
}

int64_t whole_index(const Node& node, int64_t i) {
  const Part part = part_of(node);
  const Shape& shape = node.result()->type.shape;
  int64_t index = 0, stride = 1;
  for (size_t d = shape.size(); d-- > 0; i /= shape[d], stride *= part.whole[d])
    index += (part.at[d] + i % shape[d]) * stride;
  return index;
}

} // namespace netc::kernel
