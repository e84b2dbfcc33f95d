#pragma once
// Programs of exchanges alone, to measure links with.

#include "passes/partition/cost.h"

namespace netc {

/// Exchanges of which each reads what the one before has brought.
struct ExchangeChain {
  std::string name;               ///< `all-reduce of 1024 bytes`
  std::vector<Graph> graphs;      ///< By device; the first exchange reads parameters.
  std::vector<Traffic> exchanges; ///< In their order.
};

/// Chains of tensors of 1 to 4 KB and of 48 to 128 MB over that many devices; none over one. Short
/// ones where tensors are large.
std::vector<ExchangeChain> exchange_chains(int devices);

} // namespace netc
