#pragma once
// Strategies by name or file, for a network.

#include "frontend/network.h"
#include "passes/partition/partition.h"

namespace netc {

/// The layers of a network as the pass `partition` knows them: `data`, then those of the file.
std::vector<LayerPlace> places_of(const Network& network);

/// The name of what the search finds; resolve_strategy() does not search.
inline constexpr std::string_view found_strategy = "auto";

/// The strategy of that name, else that of a file. A name that is neither, a bad file, a file for
/// another number of devices, and a network that the named strategy does not suit are a UserError;
/// whether the network may be cut as the file says is for assign_cuts to tell. `batch`: images in
/// the step, 0: the network's own; what named strategies do follows it.
Strategy resolve_strategy(const std::string& name_or_file, const Network& network, int devices,
                          int64_t batch = 0);

/// The strategy where nobody names one: that of the section `partition:` if it is for as many
/// devices, else `data`. `batch` as above.
Strategy default_strategy(const Network& network, int devices, int64_t batch = 0);

/// Reports a name in the section `partition:` that no strategy has.
void check_partition(const Network& network, Diagnostics& diagnostics);

} // namespace netc
