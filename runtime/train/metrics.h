#pragma once
// `metrics.csv` of a run: one row per logged step or validation, flushed as it is written.

#include "runtime/atomic_file.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace netc {

/// One row. Accuracies are fractions 0..1; what was not measured is empty. Everything but
/// images_per_second, a timing, is a pure function of the run's inputs.
struct MetricsRow {
  int64_t step = 0; ///< Updates done.
  double epoch = 0; ///< Epochs done, a fraction.
  std::optional<double> rate;
  std::optional<double> train_loss;
  std::optional<double> train_top1;
  std::optional<double> images_per_second;
  std::optional<double> val_loss;
  std::optional<double> val_top1;
  std::optional<double> val_top5;

  bool operator==(const MetricsRow&) const = default;
};

/// The first line of the file, without the line end.
std::string metrics_header();
/// A row as it stands in the file, without the line end; images_per_second has one decimal, all
/// other numbers read back to the same bits.
std::string metrics_line(const MetricsRow& row);

/// Appends rows to a metrics file; each row is handed to the system whole, so a killed run loses
/// none and leaves no half line.
class MetricsWriter {
public:
  /// Starts a file that must not exist yet. Throws as throw_file_error.
  static MetricsWriter create(const std::filesystem::path& path);

  /// Continues after `step`: rows of later steps and a half last line are dropped (in one step, the
  /// other rows keep their bytes); a missing file is created. UserError when the file is no
  /// metrics file.
  static MetricsWriter resume(const std::filesystem::path& path, int64_t step);

  /// Appends a row. Throws RuntimeError when the disk is full; the file then ends with the row
  /// before.
  void append(const MetricsRow& row);

private:
  explicit MetricsWriter(std::filesystem::path path);

  std::filesystem::path path_;
  FileDescriptor file_;
};

/// All rows of a metrics file; a half last line, as a power failure may leave, is ignored. Throws
/// UserError with the place of the first bad line.
std::vector<MetricsRow> read_metrics(const std::filesystem::path& path);

} // namespace netc
