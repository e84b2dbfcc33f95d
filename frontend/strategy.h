#pragma once
// Strategy files: how a network is cut over devices, layer by layer. The search writes them, too
// (print of ir/strategy.h).

#include "ir/strategy.h"

namespace netc {

/// A strategy file as it stands. Which strategies have names, and whether the network has the
/// layers and may be cut so, is not known here.
struct StrategyFile {
  Strategy strategy;           ///< Its name is that of the file, without folder and `.yaml`.
  std::string base = "follow"; ///< Named strategy of the layers that are not listed.
  Loc base_loc;                ///< Of its name, where it is given.
  Loc devices_loc;
  bool says_update = false; ///< Else updates are as in the named strategy.
  /// The same; whether the file says the number of micro-batches, their `loc` tells.
  bool says_schedule = false;
};

/// Reads the text of a strategy file. All mistakes go to `diagnostics`, located; nothing is
/// returned when there was one.
std::optional<StrategyFile> parse_strategy(const std::string& text, const std::string& file_name,
                                           Diagnostics& diagnostics);

} // namespace netc
