#pragma once
// Fibres: several stacks on one thread that change hands by a function call. fibre_x86_64.cpp does
// it in a few instructions, fibre_ucontext.cpp anywhere and under sanitizers; CMake picks one.

#include <cstddef>
#include <span>

namespace netc {

/// A context of execution: a fibre, or the thread's own stack. Not copyable: others hold its place.
class Fibre {
public:
  Fibre() = default;
  ~Fibre();
  Fibre(const Fibre&) = delete;
  Fibre& operator=(const Fibre&) = delete;

  /// The next switch to this fibre calls function(argument) on `stack`; that call must not return
  /// and must not throw. What ran on the stack before is forgotten, without destructors.
  void prepare(std::span<std::byte> stack, void (*function)(void*), void* argument);

  /// Keeps the running context in this object and continues `to`; returns once somebody switches
  /// back. Both on the same thread.
  void switch_to(Fibre& to);

private:
  void* context_ = nullptr;
};

/// Stacks of a fixed size, each above a page that may not be touched. Kept for later launches.
class FibreStacks {
public:
  FibreStacks() = default;
  ~FibreStacks();
  FibreStacks(const FibreStacks&) = delete;
  FibreStacks& operator=(const FibreStacks&) = delete;

  /// Makes room for `count` stacks; those there were are forgotten when more are asked for. Throws
  /// RuntimeError when the system has no room.
  void reserve(int count);
  std::span<std::byte> operator[](int index) const;

private:
  void release();
  std::byte* data_ = nullptr;
  int count_ = 0;
};

} // namespace netc
