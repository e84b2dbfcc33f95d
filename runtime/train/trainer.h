#pragma once
// The training loop: batches, steps, validation, schedule, checkpoints.

#include "runtime/train/checkpoint.h"
#include "runtime/train/evaluate.h"
#include "runtime/train/interrupt.h"
#include "runtime/train/metrics.h"
#include "runtime/train/progress.h"
#include "runtime/train/run_directory.h"
#include "runtime/train/schedule.h"

#include <optional>

namespace netc {

struct TrainOptions {
  double epochs = 0; ///< Total, also of a resumed run; 0: the recipe's.
  int64_t steps = 0; ///< Total; overrides epochs when not 0.
  uint64_t seed = 1;
  int64_t checkpoint_every = 0; ///< Steps; 0: at ends of epochs, 100 steps apart at least.
  bool validate_at_end = false; ///< With `steps`: validate after the last step, too.
  int workers = 0;              ///< Decoding threads; 0: one per core.
  int log_every = 0;            ///< Steps between rows of metrics; 0: about 50 rows an epoch.
  bool quiet = false;
};

/// What a run came to. Timings leave out the first step, validation and checkpoints.
struct TrainResult {
  int64_t steps = 0;
  double images_per_second = 0;     ///< Batch / median step time; 0 when fewer than 2 steps ran.
  double data_wait_fraction = 0;    ///< Share of the training time spent waiting for images.
  std::optional<double> train_loss; ///< Mean over the last logged interval.
  std::optional<Evaluation> validation; ///< The last one.
  int signal = 0;                       ///< The signal (Ctrl-C: SIGINT) that stopped the run, or 0.
  int64_t damaged_images = 0;           ///< Different ones met, and skipped.
  bool finished_early = false;          ///< The schedule ended at a plateau.
};

/// Trains the session on the dataset, writing `metrics.csv`, checkpoints and `curves.svg` into
/// `run`. When the run has a checkpoint, continues from the newest whole one: the same bytes come
/// out as if it had never stopped. Throws UserError when the loss is no longer finite.
TrainResult train(Session& session, const Dataset& dataset, const RunDirectory& run,
                  const TrainOptions& options);

/// Copies a checkpoint's tensors into the session; the names and shapes must agree. Tensors the
/// checkpoint lacks are an error unless they are momenta.
void load_state(Session& session, const Checkpoint& checkpoint);

} // namespace netc
