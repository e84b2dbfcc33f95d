#pragma once
// What each device does in an exchange, prepared for the memory that takes part.

#include "ir/exchange.h"
#include "runtime/memory.h"
#include "runtime/multi_device/box_loop.h"

namespace netc {

/// Where a device has what it sends, and what it gets. Both are seen by the host, and may be the
/// same memory.
struct ExchangeMemory {
  BoxView source, target;

  bool in_place() const { return source.data && source.data == target.data; }
};

/// One device's share of an exchange, in two phases.
///
/// pull() reads the sources of others, once they are there: it combines partial results, or copies
/// what the device lacks. settle() fetches what others have combined, once they have. Where the
/// result replaces the source, and others still read there what this device combines, pull() leaves
/// its result aside and settle() puts it in place.
class ExchangeWork {
public:
  bool pulls() const { return !copies_.empty() || !combines_.empty(); }
  bool settles() const { return !settling_.empty(); }
  void pull(const Thread& thread) const; ///< The thread's share, as below.
  void settle(const Thread& thread) const;

  /// Other devices whose sources pull() reads.
  const std::vector<int>& sources() const { return sources_; }
  /// Other devices that must have pulled before settle() may write.
  const std::vector<int>& pulled_before() const { return pulled_before_; }
  /// Those of them whose results settle() reads.
  const std::vector<int>& results() const { return results_; }

private:
  friend class ExchangePlanner;
  std::vector<BoxCopy> copies_;
  std::vector<BoxCombine> combines_;
  std::vector<BoxCopy> settling_;
  std::vector<int> sources_, pulled_before_, results_;
  Memory aside_; ///< What was combined and cannot be put in place yet.
};

/// The work of all devices, by device; `memory` by device outlives it.
std::vector<ExchangeWork> works_of(const Exchange& exchange,
                                   const std::vector<ExchangeMemory>& memory);

} // namespace netc
