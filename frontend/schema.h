#pragma once
// The JSON Schemas of network and strategy files, for editors.

#include <string>

namespace netc {

/// The schema (draft 2020-12), generated from the operators' records and the tables of the other
/// sections; it accepts what parse_network accepts, wiring and shapes aside.
std::string json_schema();
/// The same of strategy files; the names of layers and strategies are not checked.
std::string strategy_schema();

} // namespace netc
