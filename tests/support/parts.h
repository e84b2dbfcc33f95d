#pragma once
// Parts of tensors: cut out of whole ones, and put together again.

#include "ir/op.h"
#include "ir/sharding.h"

namespace netc::test {

/// Elements `box` of a tensor of which `from` holds the box `held`.
RefTensor crop(const RefTensor& from, const Box& held, const Box& box);
inline RefTensor crop(const RefTensor& whole, const Box& box) {
  return crop(whole, whole_box(whole.type.shape), box);
}

/// A tensor that comes in parts.
class Assembly {
public:
  explicit Assembly(TensorType type);

  /// Adds what a device holds of it. Parts that are none of a combination must agree with those
  /// that came before.
  void add(const Box& box, const RefTensor& part, Combine combine);

  /// Elements of a box, or of all, that came with no part.
  int64_t missing(const Box& box) const;
  int64_t missing() const { return missing(whole_box(whole_.type.shape)); }
  int64_t differing() const { return differing_; }
  const RefTensor& whole() const { return whole_; }

private:
  RefTensor whole_;
  std::vector<char> seen_; ///< By element.
  int64_t differing_ = 0;
};

} // namespace netc::test
