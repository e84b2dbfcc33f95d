#pragma once
// Measures this machine as logical devices: what predictions need to know of it.

#include "ir/device_profile.h"
#include "runtime/device.h"
#include "tools/partition/link_fit.h"

#include <filesystem>
#include <functional>

namespace netc {

struct Calibration;

struct CalibrateOptions {
  std::vector<DeviceSpec> devices; ///< Of one kind, at least one.
  int threads = 0;                 ///< Of all together, at least one each; 0: all cores.
  bool exact = false;              ///< The steps measured later are those of `--math exact`.
  double seconds = 10;             ///< About how long to measure, compiling apart.
  std::filesystem::path cache;     ///< Of kernels; empty: default_cache().
};

/// Threads of each device.
int threads_of(const CalibrateOptions& options);

struct MachineMeasurement {
  MachineProfile machine;        ///< One kind of device, as often as there are devices.
  std::vector<LinkSample> links; ///< What the link was fitted to; none with one device.
  double link_error = 0;         ///< See link_error().
};

/// What a device reaches while all the others do the same: on one machine they share the memory's
/// bandwidth and the last cache. Arithmetic: a large contraction, against the peak of multiply-adds
/// (on the CPU; else against itself). Memory: a sum of tensors much larger than the caches. Launch:
/// a chain of tiny steps. Link: exchanges of few kilobytes and of many megabytes, see
/// exchange_chains(), of which each waits for the one before, through a session over the devices:
/// all-to-all (both directions at once), sends back and forth, all-reduce, reduce-scatter with
/// all-gather. Figures are lower quartiles of the runs, of 4 digits.
/// UserError for `emu`, whose times say nothing, and for devices of several kinds.
MachineMeasurement calibrate_machine(const CalibrateOptions& options);

/// What is known of this machine as these devices: from an earlier command, else measured now and
/// kept. `measuring` is called before the latter; may be null.
Calibration this_machine(const CalibrateOptions& options, const std::function<void()>& measuring);

} // namespace netc
