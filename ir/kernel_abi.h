#pragma once
// The calling convention between the runtime and generated CPU kernels. Plain C++ without
// includes: the same text is compiled into netc and into every kernel.

namespace netc {

/// One of the threads that execute a kernel together. Every thread of the team calls the kernel
/// with the same arguments; the kernel divides the work by `index` and `count`.
struct Thread {
  int index;  ///< 0 .. count - 1.
  int count;  ///< Threads in the team; fixed when the plan is compiled.
  void* team; ///< Opaque; for `wait`.
  void (*wait)(const Thread&);

  /// Returns once all threads of the team have called it; what each wrote before is visible to
  /// all after.
  void barrier() const { wait(*this); }
};

/// Signature of a generated kernel, exported as `extern "C"`: one pointer for each buffer.
using KernelFunction = void (*)(void* const* buffers, const Thread& thread);

} // namespace netc
