#pragma once
// Machines as their YAML files describe them, and links as a flag does.

#include "ir/device_profile.h"
#include "ir/support/diagnostics.h"

#include <optional>

namespace netc {

/// Reads and checks the text of a machine's file. All mistakes go to `diagnostics`, located;
/// nothing is returned when there was one.
std::optional<MachineProfile> parse_machine(const std::string& text, const std::string& file_name,
                                            Diagnostics& diagnostics);

/// The text of a machine's file. Reading it gives the same machine, where figures have no more than
/// 15 digits in the file's units.
std::string print(const MachineProfile& machine);

/// `link` with what a text like `6GB/s,20us` says in place: a bandwidth (`B/s`, `kB/s`, `MB/s`,
/// `GB/s`, `TB/s`; in bits `kb/s` to `Tb/s`) and a latency (`s`, `ms`, `us`, `ns`), in any order;
/// one may be left out. What a machine's file may not say of a link, and anything else, is a
/// UserError.
LinkProfile parse_link(std::string_view text, LinkProfile link);

} // namespace netc
