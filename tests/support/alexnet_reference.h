#pragma once
// AlexNet's forward and backward pass as plain loops over plain arrays in double precision, written
// from the paper (Krizhevsky et al. 2012) and without a line of netc's operators: an outside judge
// of a whole training step. Dropout is off.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace netc::test {

/// Channels of an image in the order sample, channel, row, column.
struct Images {
  int count = 0, channels = 0, height = 0, width = 0;
  std::vector<double> data;

  Images() = default;
  Images(int count, int channels, int height, int width)
      : count(count), channels(channels), height(height), width(width),
        data(static_cast<size_t>(count) * channels * height * width) {}
  /// First element of a channel.
  double* plane(int n, int c) {
    return data.data() + (static_cast<size_t>(n) * channels + c) * height * width;
  }
  const double* plane(int n, int c) const { return const_cast<Images*>(this)->plane(n, c); }
};

/// Arrays by the name of the parameter, e.g. `conv1.weight`, in checkpoint order.
using Parameters = std::map<std::string, std::vector<double>>;

/// What a step gives.
struct AlexNetStep {
  double loss = 0;
  Parameters gradients;
  /// Smallest distance of a ReLU's operand from 0, or of a maximum from the next smaller number in
  /// its window.
  double margin = 0;
};

/// The loss and gradients of a batch of network inputs (after crop, mirror and mean).
AlexNetStep alexnet_step(const Images& input, const std::vector<int>& labels,
                         const Parameters& parameters, bool backward);

/// What the network sees of stored images: a window drawn for each sample, mirrored or not, minus
/// the mean of each channel.
Images alexnet_input(const Images& stored, int size, const std::vector<double>& mean,
                     const uint32_t (&seed)[2], const std::vector<int>& sample_ids,
                     const std::vector<int>& epochs);

} // namespace netc::test
