#pragma once

#include "ir/kernel.h"

#include <set>
#include <string>

namespace netc {

/// The names of all buffers and arrays that statements read or write.
std::set<std::string> buffers_of(const std::vector<kernel::Stmt>& stmts);

} // namespace netc
