#pragma once
// Network and machine descriptions by file or by the name of a bundled one.

#include "ir/device_profile.h"

#include <string>
#include <vector>

namespace netc {

struct NetworkText {
  std::string name; ///< As messages name it: the file as given, or `alexnet.yaml`.
  std::string text;
};

/// Names of the bundled models, sorted, with `.yaml`.
std::vector<std::string> bundled_models();

/// Reads `net`: a file, else a bundled model with or without `.yaml`. UserError when it is neither.
NetworkText load_network_text(const std::string& net);

/// Names of the bundled machines, sorted, without `.yaml`.
std::vector<std::string> bundled_machines();

/// The machine that `machine` describes: a file, else the name of a bundled one. UserError when it
/// is neither, or wrong.
MachineProfile load_machine(const std::string& machine);

} // namespace netc
