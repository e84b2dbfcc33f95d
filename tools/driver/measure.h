#pragma once
// Measuring contraction candidates on a device of this machine, for the tuner.

#include "codegen/tuning.h"
#include "runtime/device.h"
#include "tools/driver/backend.h"

namespace netc {

/// A contraction's kernel on trial, with elements of the very types that a plan's has: the operands
/// are state, `a` and `b`, which all programs of a plan share and which lie as the contraction
/// wants them, or are rounded first as that is used to. All but weight gradients have a map behind,
/// as they mostly have, which changes nothing: kernels do it in passing, libraries leave it. A
/// rounded result is read by a last step, so that the output `c` is f32. A bias's gradient is the
/// output `sums`.
Graph trial_graph(const ContractionUse& use);

/// A library that was not measured, and why: the machine has none, or it refused.
struct LeftOut {
  std::string library, reason;
  auto operator<=>(const LeftOut&) const = default;
};
/// Told of each library and reason once.
using ReportLeftOut = std::function<void(const LeftOut&)>;

/// A hook that compiles candidates, runs each on random data on `device` for about `budget_ms`, and
/// checks sampled outputs against double precision. A library that does not work on the device is
/// left out. `backend` must outlive it. The hook throws RuntimeError where the machine lacks the
/// device, UserError where the device does not run kernels for the target.
MeasureCandidates measure_on(const DeviceSpec& device, const Backend& backend,
                             const LoweringOptions& lowering, double budget_ms,
                             const ReportLeftOut& left_out);

} // namespace netc
