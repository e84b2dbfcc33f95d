#pragma once
// Objects of the CUDA runtime that go with their owners.

#include "runtime/cuda/check.h"

#include <utility>

namespace netc::cuda {

/// A handle and how it is destroyed. What goes wrong then has no consequences: the owner is done.
template <class Handle, cudaError_t (*destroy)(Handle)> class Owned {
public:
  Owned() = default;
  explicit Owned(Handle handle) : handle_(handle) {}
  ~Owned() {
    if (handle_)
      destroy(handle_);
  }
  Owned(Owned&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  Handle get() const { return handle_; }
  explicit operator bool() const { return handle_ != nullptr; }

private:
  Handle handle_ = nullptr;
};

using Stream = Owned<cudaStream_t, cudaStreamDestroy>;
using Event = Owned<cudaEvent_t, cudaEventDestroy>;
using Graph = Owned<cudaGraph_t, cudaGraphDestroy>;
using GraphExec = Owned<cudaGraphExec_t, cudaGraphExecDestroy>;
using Library = Owned<cudaLibrary_t, cudaLibraryUnload>;

/// A stream that waits for no other unless told to.
inline Stream make_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a CUDA stream");
  return Stream(stream);
}

/// `flags`: cudaEventDisableTiming, cudaEventBlockingSync.
inline Event make_event(unsigned flags) {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, flags), "making a CUDA event");
  return Event(event);
}

} // namespace netc::cuda
