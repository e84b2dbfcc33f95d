#pragma once
// The checks of the operators' harness that cut nodes over devices; see op_harness.h.

#include "tests/support/op_harness.h"

namespace netc::test {

/// In double, every cut of every node of the table.
void check_sharded(const std::string& name, const std::vector<OpCase>& cases);

} // namespace netc::test
