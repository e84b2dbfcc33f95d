#pragma once
// A kernel that calls a library, with memory: its entries run on the emulator, the library's part
// is the test's.

#include "codegen/printer.h"
#include "tests/codegen/contraction_testing.h"
#include "tests/emu/emu_testing.h"

#include <deque>

namespace netc::test {

/// Memory for each parameter of a kernel: random operands, nothing in the others.
class KernelMemory {
public:
  explicit KernelMemory(const LoweredNode& kernel)
      : kernel_(kernel), text_(print_kernel(kernel, cuda_dialect(), false, 48 << 10)),
        compiled_(text_.text) {
    for (size_t i = 0; i < kernel.kernel.params.size(); ++i) {
      const size_t count = static_cast<size_t>(kernel.kernel.params[i].type.elements());
      if (i < kernel.operands.size())
        memory_.emplace_back(random_floats(count, static_cast<unsigned>(i)));
      else
        memory_.emplace_back(count);
    }
  }

  int entries() const { return static_cast<int>(text_.entries.size()); }
  Floats& at(int parameter) { return memory_[static_cast<size_t>(parameter)].values; }
  Floats& first_result() { return memory_[kernel_.operands.size()].values; }
  /// As if the library had written it.
  void write(int parameter, const Floats& values) {
    at(parameter) = values;
    memory_[static_cast<size_t>(parameter)].shadow.set_initialised();
  }
  int parameters() const { return static_cast<int>(memory_.size()); }
  void run(int entry) {
    std::vector<EmulatorBuffer> buffers;
    for (size_t i = 0; i < memory_.size(); ++i)
      buffers.push_back(memory_[i].buffer(kernel_.kernel.params[i].name));
    const KernelEntry& launch = text_.entries[static_cast<size_t>(entry)];
    emulator_.launch({.kernel = "library",
                      .entry = entry,
                      .function = compiled_.entry(entry),
                      .blocks = launch.blocks,
                      .threads = launch.threads,
                      .shared_bytes = launch.shared_bytes,
                      .buffers = buffers});
  }

private:
  const LoweredNode& kernel_;
  KernelText text_;
  EmuText compiled_;
  Emulator emulator_; ///< Of all entries: it knows that one ends before the next begins.
  std::deque<EmuArray<float>> memory_;
};

} // namespace netc::test
