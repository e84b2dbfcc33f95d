#pragma once
// Checkpoints of a run folder: `step-%08d.safetensors`, the whole state of a training run.

#include "ir/support/diagnostics.h"
#include "runtime/train/safetensors.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace netc {

/// Everything of the training state that is not a tensor. Holds no time, host or path, so that the
/// same state gives the same bytes.
struct TrainingState {
  std::string network;      ///< The network's name.
  std::string network_hash; ///< Of graph and recipe: which runs may continue from this state.
  int64_t step = 0;         ///< Updates done. With the seed it is the position in the data, too.
  uint64_t seed = 1;
  std::string schedule; ///< LearningRate::state().
  /// Further strings, e.g. the measured channel means (number_text) or the class names. Keys must
  /// differ from the members' names and from `format`.
  std::map<std::string, std::string> more;

  bool operator==(const TrainingState&) const = default;
};

/// A checkpoint in a folder.
struct CheckpointFile {
  int64_t step = 0;
  std::filesystem::path path;
};

/// An open checkpoint: parameters, momenta and running statistics are the file's tensors, in
/// logical coordinates.
struct Checkpoint {
  TrainingState state;
  SafetensorsFile file;
};

/// `step-00000012.safetensors`.
std::string checkpoint_name(int64_t step);

/// Writes `folder/step-%08d.safetensors` in one step and returns its path; an interrupted or failed
/// write leaves every older checkpoint as it was. The tensors are borrowed until the return.
/// Throws RuntimeError when the disk is full or fails.
std::filesystem::path save_checkpoint(const std::filesystem::path& folder,
                                      const TrainingState& state, std::vector<NamedTensor> tensors);

/// Opens one checkpoint file, of any name. Throws UserError when it is damaged or no checkpoint.
Checkpoint open_checkpoint(const std::filesystem::path& path);

/// The checkpoints of a folder by their names, oldest step first. Throws when the folder cannot be
/// listed.
std::vector<CheckpointFile> list_checkpoints(const std::filesystem::path& folder);

/// Opens the newest checkpoint that is whole; each newer one that is damaged becomes a warning.
/// Nothing when the folder holds no checkpoint; UserError when it holds damaged ones only.
std::optional<Checkpoint> open_newest_checkpoint(const std::filesystem::path& folder,
                                                 Diagnostics& warnings);

/// Removes all but the newest `keep` (at least 1) checkpoints, and what killed writers left behind,
/// and returns the removed checkpoints. Call it after a save by the folder's only writer.
std::vector<CheckpointFile> prune_checkpoints(const std::filesystem::path& folder, int keep = 2);

} // namespace netc
