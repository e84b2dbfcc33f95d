#include "tests/support/draw.h"

#include <algorithm>
#include <numeric>

namespace netc::test {

namespace {

double exact_in_f32(double value) {
  return static_cast<double>(static_cast<float>(value));
}

} // namespace

Draw uniform(double lo, double hi) {
  return [=](size_t count, Random& random) {
    std::uniform_real_distribution<double> value(lo, hi);
    std::vector<double> list(count);
    for (double& x : list)
      x = exact_in_f32(value(random));
    return list;
  };
}

Draw away_from_zero(double margin) {
  return [=](size_t count, Random& random) {
    std::uniform_real_distribution<double> value(-1, 1);
    std::vector<double> list(count);
    for (double& x : list)
      do
        x = exact_in_f32(value(random));
      while (std::abs(x) < margin);
    return list;
  };
}

Draw distinct() {
  return [](size_t count, Random& random) {
    std::vector<double> list(count);
    std::iota(list.begin(), list.end(), 0.5);
    std::shuffle(list.begin(), list.end(), random);
    for (double& x : list)
      x = exact_in_f32(2 * x / static_cast<double>(count) - 1);
    return list;
  };
}

Draw integers(int64_t lo, int64_t hi) {
  return [=](size_t count, Random& random) {
    std::uniform_int_distribution<int64_t> value(lo, hi);
    std::vector<double> list(count);
    for (double& x : list)
      x = static_cast<double>(value(random));
    return list;
  };
}

Draw values(std::vector<double> list) {
  return [=](size_t, Random&) { return list; };
}

RefTensor draw(const TensorType& type, const Draw& how, Random& random) {
  RefTensor tensor{type, how(static_cast<size_t>(type.elements()), random)};
  NETC_CHECK(static_cast<int64_t>(tensor.data.size()) == type.elements(), "drew {} numbers for {}",
             tensor.data.size(), type.str());
  return tensor;
}

std::vector<int64_t> random_bounds(int64_t extent, int parts, Random& random) {
  std::vector<int64_t> bounds = {0, extent};
  while (static_cast<int>(bounds.size()) < parts + 1)
    bounds.push_back(static_cast<int64_t>(random() % static_cast<uint64_t>(extent + 1)));
  std::sort(bounds.begin(), bounds.end());
  return bounds;
}

} // namespace netc::test
