#pragma once
// Figures about a dataset.

#include "runtime/data/dataset.h"

#include <vector>

namespace netc {

/// The mean of each channel, 0..255, over all pixels of the stored images of a split. Sums are
/// exact integers, so the number of `threads` (0: one per core) does not show. Damaged images are
/// left out; throws UserError when no image can be read.
std::vector<double> channel_means(const Dataset& dataset, Split split = Split::train,
                                  int threads = 0);

} // namespace netc
