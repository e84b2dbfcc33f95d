#pragma once
// What the emulator's toolchain appends to a text: an exported function for each kernel, which
// calls it with the launch's buffers.

#include "codegen/device/emu/memory.h"

namespace netc::emu {

/// A parameter of a kernel: a pointer to the whole buffer.
template <class P> P argument(Region& region) {
  return P(Array{&region, 0, region.bytes}, 0);
}

/// Evaluates its arguments in order, as a function call need not.
template <class... P> struct Call {
  Call(void (*kernel)(P...), P... arguments) { kernel(arguments...); }
};

/// Runs one thread of a kernel whose parameters are Global<T>.
template <class... P> void enter(void (*kernel)(P...), Machine& machine) {
  running_machine = &machine;
  [[maybe_unused]] Region* next = machine.buffers;
  Call<P...>{kernel, argument<P>(*next++)...};
}

} // namespace netc::emu
