#pragma once
// The checks of the operators' harness; see op_harness.h for what each of them derives.

#include "tests/support/op_harness.h"

namespace netc::test {

void check_generated_code(const std::string& name, const std::vector<OpCase>& cases);
/// The CUDA text of all precisions, on the emulator.
void check_on_emulator(const std::string& name, const std::vector<OpCase>& cases);
/// The same on the first GPU; skipped where there is none.
void check_on_gpu(const std::string& name, const std::vector<OpCase>& cases);
void check_finite_differences(const std::string& name, const std::vector<OpCase>& cases);
void check_record(const std::string& name, const std::vector<OpCase>& cases);

} // namespace netc::test
