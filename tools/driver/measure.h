#pragma once
// Measuring contraction candidates on a device of this machine, for the tuner.

#include "codegen/tuning.h"
#include "runtime/device.h"
#include "tools/driver/backend.h"

namespace netc {

/// A hook that compiles a candidate without epilogue, runs it on random data on `device` for about
/// `budget_ms`, and checks sampled outputs against double precision. `backend` must outlive it. The
/// hook throws RuntimeError where the machine lacks the device, UserError where the device does not
/// run kernels for the target.
MeasureCandidate measure_on(const DeviceSpec& device, const Backend& backend,
                            const LoweringOptions& lowering, double budget_ms = 300);

} // namespace netc
