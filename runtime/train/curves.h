#pragma once
// `curves.svg`: the loss and error curves of a run as a picture.

#include "runtime/train/metrics.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace netc {

/// An SVG of two panels over epochs (over steps in runs of less than two epochs): loss (training,
/// smoothed, over its raw values; validation) and error in percent (top-1, top-5), with drops of
/// the learning rate as thin vertical lines. A NaN or infinity is a gap. Self-contained text for a
/// light background, the same for the same rows; its size does not grow beyond the pixels drawn.
std::string render_curves(const std::vector<MetricsRow>& rows, std::string_view title);

/// Renders `metrics` (a metrics.csv) into `svg`, which is replaced in one step.
void write_curves(const std::filesystem::path& metrics, const std::filesystem::path& svg,
                  std::string_view title);

} // namespace netc
