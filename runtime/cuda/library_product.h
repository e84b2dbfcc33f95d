#pragma once
// What the wrappers of NVIDIA's libraries have in common.

#include <cuda_runtime_api.h>

#include <span>
#include <string>

namespace netc::cuda {

/// A contraction that a library computes, ready to be launched.
class LibraryProduct {
public:
  virtual ~LibraryProduct() = default;
  /// Enqueues it over a step's parameters, from one thread at a time. It has the same bits in every
  /// run, as those of a device share a stream. Throws RuntimeError, with the kernel's name, where
  /// the library refuses.
  virtual void run(std::span<void* const> parameters, cudaStream_t stream) const = 0;
};

/// What helps where `library` does not work.
std::string way_without(const std::string& library);

/// Throws the RuntimeError of a function that failed: its name, `status` in words, its number.
[[noreturn]] void library_failed(const std::string& library, const char* function,
                                 const char* status, int number);

} // namespace netc::cuda
