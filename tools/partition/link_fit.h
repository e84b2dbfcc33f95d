#pragma once
// Latency and bandwidth of the links between devices, from times of exchanges.

#include "passes/partition/cost.h"

namespace netc {

/// Exchanges that were run one after the other, each once the one before was done.
struct LinkSample {
  std::string name; ///< For people.
  std::vector<Traffic> exchanges;
  double seconds = 0; ///< Of all of them; above 0.
};

/// The link with which the sums of exchange_seconds() come closest to what was measured: those for
/// which the sum of relative errors is least, over latency, bandwidth, and whether directions or
/// devices share it. Absolute errors, not squares, so that a few samples that something disturbed
/// change nothing. RuntimeError when no link fits any two samples. Of `machine` the devices count:
/// what they copy in their own memory is no matter of the link.
LinkProfile fit_link(const std::vector<LinkSample>& samples, const MachineProfile& machine);

/// What the machine's link says that they take.
double predicted_seconds(const LinkSample& sample, const MachineProfile& machine);

/// The mean over samples of |predicted - measured| / measured.
double link_error(const std::vector<LinkSample>& samples, const MachineProfile& machine);

} // namespace netc
