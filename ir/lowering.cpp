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

} // namespace netc::kernel
