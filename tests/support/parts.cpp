#include "tests/support/parts.h"

#include "ir/support/error.h"

#include <algorithm>

namespace netc::test {

namespace {

/// Calls fn(flat index in a tensor that holds `held` alone) for each element of `box`, in order.
template <class Fn> void for_each_element(const Box& held, const Box& box, Fn fn) {
  const Box inside = relative(box, held);
  const Shape extents = shape_of(held);
  std::vector<int64_t> at;
  for (const Range& range : inside)
    at.push_back(range.begin);
  for (int64_t left = elements(box); left > 0; --left) {
    int64_t index = 0;
    for (size_t d = 0; d < at.size(); ++d)
      index = index * extents[d] + at[d];
    fn(static_cast<size_t>(index));
    for (size_t d = at.size(); d-- > 0;) {
      if (++at[d] < inside[d].end)
        break;
      at[d] = inside[d].begin;
    }
  }
}

} // namespace

RefTensor crop(const RefTensor& from, const Box& held, const Box& box) {
  NETC_CHECK(contains(held, box), "{} is not within {}", to_text(box), to_text(held));
  RefTensor part{{from.type.dtype, shape_of(box)}, {}};
  for_each_element(held, box, [&](size_t i) { part.data.push_back(from.data.at(i)); });
  return part;
}

Assembly::Assembly(TensorType type)
    : whole_{type, std::vector<double>(static_cast<size_t>(type.elements()))},
      seen_(whole_.data.size(), 0) {}

void Assembly::add(const Box& box, const RefTensor& part, Combine combine) {
  const Box whole = whole_box(whole_.type.shape);
  NETC_CHECK(contains(whole, box), "{} is not within {}", to_text(box), to_text(whole));
  size_t next = 0;
  for_each_element(whole, box, [&](size_t i) {
    double& value = whole_.data[i];
    const double added = part.data.at(next++);
    if (!seen_[i])
      value = added;
    else if (combine == Combine::sum)
      value += added;
    else if (combine == Combine::max)
      value = std::max(value, added);
    else
      differing_ += value != added;
    seen_[i] = 1;
  });
}

int64_t Assembly::missing(const Box& box) const {
  int64_t count = 0;
  for_each_element(whole_box(whole_.type.shape), box, [&](size_t i) { count += !seen_[i]; });
  return count;
}

} // namespace netc::test
