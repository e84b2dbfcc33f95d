#include "tests/support/shards.h"

#include <cstring>

namespace netc::test {

RefTensor share_of(const RefTensor& tensor, int dim, int64_t count, int64_t index) {
  if (dim < 0)
    return tensor;
  RefTensor share{tensor.type, {}};
  int64_t& extent = share.type.shape[static_cast<size_t>(dim)];
  int64_t inner = 1;
  for (size_t d = static_cast<size_t>(dim) + 1; d < tensor.type.shape.size(); ++d)
    inner *= tensor.type.shape[d];
  const int64_t run = extent / count * inner, period = extent * inner;
  extent /= count;
  for (size_t i = 0; i < tensor.data.size(); ++i)
    if (static_cast<int64_t>(i) % period / run == index)
      share.data.push_back(tensor.data[i]);
  return share;
}

bool same_bits(const RefTensor& a, const RefTensor& b) {
  return a.type == b.type &&
         std::memcmp(a.data.data(), b.data.data(), a.data.size() * sizeof(double)) == 0;
}

} // namespace netc::test
