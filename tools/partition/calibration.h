#pragma once
// What was measured of this machine, kept between commands.

#include "passes/partition/cost.h"
#include "tools/partition/calibrate.h"

#include <optional>

namespace netc {

/// A machine and the times of steps on it.
struct Calibration {
  std::string fingerprint; ///< See fingerprint_of().
  std::string date;        ///< `2026-11-30`
  MachineProfile machine;
  /// By how many devices compute at the same time, see busy_devices().
  std::map<int, MeasuredTimes> times{};
  bool operator==(const Calibration&) const = default;
};

/// All that measurements depend on, for people, one `what: value` a line: processor, devices,
/// threads of each, compiler, and the headers that kernels include.
std::string fingerprint_of(const CalibrateOptions& options);

/// Today, in UTC.
std::string today();

/// The times to predict a strategy with: those for so many busy devices, and where a key has none,
/// those for another number, the nearest first.
MeasuredTimes times_for(const Calibration& calibration, int busy);

/// Where the calibration of that fingerprint is kept: below `folder`, or default_cache().
std::filesystem::path calibration_file(const std::string& fingerprint,
                                       const std::filesystem::path& folder = {});

/// What save() kept there; nothing where there is none, or one that cannot be read.
std::optional<Calibration> load_calibration(const std::string& fingerprint,
                                            const std::filesystem::path& folder = {});

/// In one step, replacing what is there. Throws as throw_file_error.
void save(const Calibration& calibration, const std::filesystem::path& folder = {});

/// The machine's file, with the fingerprint and the date in comments.
std::string machine_file(const Calibration& calibration);

} // namespace netc
