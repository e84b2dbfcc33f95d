#pragma once
// Measuring contraction candidates on a device of this machine, for the tuner.

#include "codegen/tuning.h"
#include "runtime/device.h"
#include "tools/driver/backend.h"

namespace netc {

/// A hook that compiles candidates, runs each on random data on `device` for about `budget_ms`, and
/// checks sampled outputs against double precision. A library that does not work on the device is
/// left out. `backend` must outlive it. The hook throws RuntimeError where the machine lacks the
/// device, UserError where the device does not run kernels for the target.
MeasureCandidates measure_on(const DeviceSpec& device, const Backend& backend,
                             const LoweringOptions& lowering, double budget_ms);

} // namespace netc
