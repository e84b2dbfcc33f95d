#pragma once
// What the tests of shards share: cutting tensors as devices hold them.

#include "ir/op.h"

namespace netc::test {

/// Share `index` of `count` equal ones along dimension `dim`; all of the tensor where `dim` is -1.
RefTensor share_of(const RefTensor& tensor, int dim, int64_t count, int64_t index);

/// Whether types and elements are the same, zeros of either sign told apart.
bool same_bits(const RefTensor& a, const RefTensor& b);

} // namespace netc::test
