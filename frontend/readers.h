#pragma once
// The readers of the file's sections. Each reports what is wrong and returns what it understood.

#include "frontend/network.h"
#include "frontend/section.h"

namespace netc::frontend {

InputSpec read_input(const YamlNode& value, Diagnostics& diagnostics);
/// `rule_locs` receives the place of each entry of `parameters:`.
TrainSpec read_train(const YamlNode& value, std::vector<Loc>& rule_locs, Diagnostics& diagnostics);
PartitionSpec read_partition(const YamlNode& value, Diagnostics& diagnostics);

/// Reads `layers:`: types, keys, names and the wiring, which may only point upwards.
std::vector<LayerDescription> read_layers(const YamlNode& value, Diagnostics& diagnostics);

/// Names a layer may not have: those of the values every network has.
const std::vector<std::string>& reserved_names();
/// The operators that can be layers, in the order of the documentation.
std::vector<std::string> layer_types();

} // namespace netc::frontend
