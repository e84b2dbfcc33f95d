#pragma once
// Refuses files that no YAML parser should see: binary, huge, or made to exhaust it.

#include "ir/support/diagnostics.h"

namespace netc::frontend {

/// True when `file` is text of a reasonable size and nesting; reports the reason otherwise.
bool check_source(const std::shared_ptr<const SourceFile>& file, Diagnostics& diagnostics);

} // namespace netc::frontend
