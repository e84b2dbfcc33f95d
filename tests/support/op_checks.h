#pragma once
// The checks of the operators' harness; see op_harness.h for what each of them derives.

#include "tests/support/op_harness.h"

namespace netc::test {

void check_generated_code(const std::string& name, const std::vector<OpCase>& cases);
void check_finite_differences(const std::string& name, const std::vector<OpCase>& cases);
void check_record(const std::string& name, const std::vector<OpCase>& cases);

} // namespace netc::test
