#include "runtime/emu/fibre.h"

#include <cstdint>

// Saves what a callee must keep on the old stack and takes it from the new one. A new fibre's stack
// looks as if it had been left that way, with netc_begin_fibre to return to.
asm(R"(
.text
.p2align 4
.type netc_switch_fibre, @function
netc_switch_fibre:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size netc_switch_fibre, . - netc_switch_fibre

.p2align 4
.type netc_begin_fibre, @function
netc_begin_fibre:
  movq %r12, %rdi
  callq *%rbx
  ud2
.size netc_begin_fibre, . - netc_begin_fibre
)");

extern "C" void netc_switch_fibre(void** save, void* load);
extern "C" void netc_begin_fibre();

namespace netc {

Fibre::~Fibre() = default;

void Fibre::prepare(std::span<std::byte> stack, void (*function)(void*), void* argument) {
  const auto end = reinterpret_cast<uintptr_t>(stack.data() + stack.size()) & ~uintptr_t{15};
  // r15 r14 r13 r12 rbx rbp, the address to return to; then two words keep the stack aligned.
  auto* words = reinterpret_cast<uintptr_t*>(end) - 9;
  for (int i = 0; i < 9; ++i)
    words[i] = 0;
  words[3] = reinterpret_cast<uintptr_t>(argument);
  words[4] = reinterpret_cast<uintptr_t>(function);
  words[6] = reinterpret_cast<uintptr_t>(&netc_begin_fibre);
  context_ = words;
}

void Fibre::switch_to(Fibre& to) {
  netc_switch_fibre(&context_, to.context_);
}

} // namespace netc
