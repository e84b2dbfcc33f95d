#pragma once
// The softmax of the reference implementations.

#include "ir/ops/common.h"

namespace netc::ops {

/// y[i] = softmax over the elements `channels` of x, for i in `channels`.
void softmax_values(const std::vector<double>& x, const std::vector<size_t>& channels,
                    std::vector<double>& y);

} // namespace netc::ops
