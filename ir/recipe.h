#pragma once
// What the frontend reads and the runtime obeys: preprocessing, solver and schedule.

#include <cstdint>
#include <string>
#include <vector>

namespace netc {

/// How a photograph becomes a stored image of the input's `stored` size.
enum class Resize {
  cover, ///< Scale the shorter side to the stored size, keep the aspect, cut the centre (AlexNet).
  warp,  ///< Scale both sides to the stored size, ignoring the aspect.
};

/// Where the network's input window is taken from a stored image.
enum class Crop { center, random };

/// What is subtracted from each pixel before scaling.
enum class Mean {
  none,
  channel, ///< Mean of each channel over the training images, measured once and kept in the run.
  values,  ///< Given numbers, one a channel.
};

/// The `input:` section of a network: stored uint8 images become f32 network inputs.
struct InputSpec {
  int64_t channels = 3;
  int64_t height = 0; ///< Pixels the network sees.
  int64_t width = 0;
  int64_t stored_height = 0; ///< Pixels of a stored image, at least height x width.
  int64_t stored_width = 0;
  Resize resize = Resize::cover;
  Crop crop = Crop::center; ///< While training; evaluation always takes the centre.
  bool flip = false;        ///< Mirror half of the training images.
  Mean mean = Mean::none;
  std::vector<double> mean_values; ///< For Mean::values, 0..255 units.
  double scale = 1;                ///< Multiplies after the mean is subtracted.
};

/// SGD with momentum and weight decay: v <- momentum v - decay rate w - rate g; w <- w + v.
struct OptimizerSpec {
  double rate = 0.01;
  double momentum = 0.9;
  double decay = 0;
};

/// Rate and decay multipliers of the parameters whose name matches a glob; the last match wins.
struct ParameterRule {
  std::string match;
  double rate = 1;
  double decay = 1;
};

/// Learning-rate schedule; all kinds multiply OptimizerSpec::rate.
struct ScheduleSpec {
  enum class Kind {
    constant,
    steps,   ///< Multiply by `factor` at the start of each epoch in `at` (fractions allowed).
    plateau, ///< Multiply by `factor` when the validation error stops falling, `drops` times; the
             ///< run ends at the next plateau after the last drop or after the last epoch.
  };
  Kind kind = Kind::constant;
  double factor = 0.1;
  std::vector<double> at; ///< Epochs, ascending; for `steps`.
  int drops = 3;          ///< For `plateau`.
  int patience = 5;       ///< Epochs without improvement before a drop; for `plateau`.
};

/// The `train:` section of a network.
struct TrainSpec {
  int64_t batch = 128;
  double epochs = 1;
  uint64_t seed = 1;
  OptimizerSpec optimizer;
  std::vector<ParameterRule> parameters;
  ScheduleSpec schedule;
};

/// Everything about a network that is not its graph.
struct Recipe {
  std::string name;
  InputSpec input;
  TrainSpec train;
  int64_t classes = 0; ///< Outputs of the classifier the loss is computed on.
};

} // namespace netc
