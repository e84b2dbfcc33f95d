#include "runtime/emu/fibre.h"

#include <ucontext.h>

namespace netc {

namespace {

/// makecontext passes no pointers: what the next fibre to begin shall call.
struct Beginning {
  void (*function)(void*);
  void* argument;
};

struct Context {
  ucontext_t machine{};
  Beginning beginning{};
};

thread_local Context* beginner = nullptr;

Context& context_in(void*& place) {
  if (place == nullptr)
    place = new Context;
  return *static_cast<Context*>(place);
}

} // namespace

Fibre::~Fibre() {
  delete static_cast<Context*>(context_);
}

void Fibre::prepare(std::span<std::byte> stack, void (*function)(void*), void* argument) {
  Context& context = context_in(context_);
  context.beginning = {function, argument};
  getcontext(&context.machine);
  context.machine.uc_stack.ss_sp = stack.data();
  context.machine.uc_stack.ss_size = stack.size();
  context.machine.uc_link = nullptr;
  makecontext(
      &context.machine, [] { beginner->beginning.function(beginner->beginning.argument); }, 0);
}

void Fibre::switch_to(Fibre& to) {
  beginner = &context_in(to.context_);
  swapcontext(&context_in(context_).machine, &beginner->machine);
}

} // namespace netc
