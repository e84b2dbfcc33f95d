#pragma once
// Drawn shapes: a labelled image set that needs no download, a pure function of its seed.

#include "runtime/data/dataset.h"

namespace netc::data {

/// The classes, sorted; the label is the position.
const std::vector<std::string>& shape_names();

/// Class of the shape at `index`: the classes take turns.
int32_t shape_label(int64_t index);

/// Draws the shape at `index` of a split: one filled shape of random colour, place, size and
/// rotation on a noisy gradient. Integer arithmetic only, so every machine draws the same bytes.
Image draw_shape(uint64_t seed, Split split, int64_t index, int height, int width);

} // namespace netc::data
