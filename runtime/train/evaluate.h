#pragma once
// Running the inference program over images: accuracy of a split, classes of single pictures.

#include "runtime/data/loader.h"
#include "runtime/session.h"

#include <functional>
#include <optional>

namespace netc {

/// Accuracies are fractions of the images that could be read, 0..1.
struct Evaluation {
  int64_t images = 0;
  double loss = 0;
  double top1 = 0;
  std::optional<double> top5; ///< Nothing with fewer than 5 classes.
  bool interrupted = false;   ///< Broken off: the figures are of the images seen.
};

struct EvaluateOptions {
  Split split = Split::validation;
  int workers = 0;
  std::function<void(std::string)> warn;                       ///< Damaged images.
  std::function<void(int64_t done, int64_t batches)> progress; ///< After each batch; may be null.
  std::function<bool()> interrupted; ///< True: give up; the evaluation is of what was seen.
};

/// Evaluates the session's state on a split. Order, and so the result, is fixed.
Evaluation evaluate(Session& session, const Dataset& dataset, const EvaluateOptions& options);

/// Probabilities [images][classes] of stored images (HWC, u8, input.stored size).
std::vector<float> predict(Session& session, const std::vector<std::vector<uint8_t>>& images);

/// Fills `input.mean` as the recipe says: measured on the training images, or the given values.
/// Does nothing without a mean.
void set_input_mean(Session& session, const Dataset& dataset);

} // namespace netc
